"""R̂, effective draws and standard errors against processes in which they are known."""

from __future__ import annotations

import numpy as np
import pytest

from heldout.techniques.learning_coefficient.convergence import effective_draws, split_r_hat, standard_error


def autoregressive(correlation: float, draws: int, chains: int, seed: int = 0) -> np.ndarray:
    """Stationary, of variance 1: corr(x_t, x_{t+k}) = correlationᵏ."""
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((draws, chains))
    series = np.empty_like(noise)
    series[0] = noise[0]
    for t in range(1, draws):
        series[t] = correlation * series[t - 1] + (1 - correlation**2) ** 0.5 * noise[t]
    return series


@pytest.mark.parametrize("correlation", [-0.4, 0.0, 0.5, 0.9])
def test_effective_draws_are_those_of_an_autoregressive_process(correlation: float) -> None:
    """n (1 − ρ) / (1 + ρ); more than n where draws alternate."""
    known = 8 * 4000 * (1 - correlation) / (1 + correlation)
    assert effective_draws(autoregressive(correlation, 4000, 8)) == pytest.approx(known, rel=0.15)


def test_the_standard_error_is_how_much_means_of_repetitions_differ() -> None:
    repeated = [autoregressive(0.8, 300, 6, seed) for seed in range(400)]
    spread = float(np.std([series.mean() for series in repeated]))
    assert np.median([standard_error(series) for series in repeated]) == pytest.approx(spread, rel=0.12)


def test_intervals_of_the_mean_cover_it() -> None:
    """95 %: of 400 at least 364, which a right interval misses once in 1000 times."""
    repeated = [autoregressive(0.8, 300, 6, seed) for seed in range(400)]
    assert sum(abs(series.mean()) <= 1.96 * standard_error(series) for series in repeated) >= 364


def test_chains_of_one_distribution_have_r_hat_1() -> None:
    assert split_r_hat(autoregressive(0.0, 2000, 4)) == pytest.approx(1.0, abs=0.005)


def test_a_chain_elsewhere_is_seen() -> None:
    series = autoregressive(0.0, 1000, 4)
    series[:, 0] += 1.0
    assert split_r_hat(series) > 1.05


def test_a_chain_of_another_spread_is_seen() -> None:
    """Its mean is that of the others: only distances from the median tell."""
    series = autoregressive(0.0, 1000, 4)
    series[:, 0] *= 3.0
    assert split_r_hat(series) > 1.05


def test_a_trend_that_all_chains_share_is_seen() -> None:
    assert split_r_hat(autoregressive(0.0, 1000, 4) + np.linspace(0.0, 2.0, 1000)[:, None]) > 1.05


def test_r_hat_knows_no_scale() -> None:
    """Ranks are all that it sees: of a distribution without a mean as well."""
    series = np.random.default_rng(0).standard_cauchy((1000, 4))
    assert split_r_hat(series) == pytest.approx(1.0, abs=0.01)
    positive = np.abs(autoregressive(0.5, 1000, 4))
    assert split_r_hat(1e6 * positive - 3.0) == pytest.approx(split_r_hat(positive), abs=1e-4)


def test_what_does_not_move_or_is_not_finite_is_not_mixed() -> None:
    still = np.ones((100, 4))
    broken = autoregressive(0.0, 100, 4)
    broken[3, 2] = np.nan
    for series in (still, broken):
        assert split_r_hat(series) == float("inf")
        assert effective_draws(series) == 0.0
        assert standard_error(series) == float("inf")
