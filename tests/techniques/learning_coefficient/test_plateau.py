"""From levels whose approach to λ is known to λ, without any sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from heldout.techniques.learning_coefficient import Level, Plateau, Requirements

N_BETAS = tuple(10.0**power for power in (2.0, 2.5, 3.0, 3.5, 4.0))
GOOD = Level(
    n_beta=1.0,
    localisation=1.0,
    value=5.0,
    standard_error=0.03,
    r_hat=1.01,
    effective=4000.0,
    distance=1.0,
    distance_r_hat=1.05,
    distance_effective=600.0,
    equipartition=1.0,
    equipartition_error=0.01,
    lowest=0.2,
    acceptance=0.8,
    step=0.01,
    gradient_evaluations=1000,
)


def plateau(
    read: Callable[[float], float], error: float = 0.03, seed: int | None = None, parameters: int = 30
) -> Plateau:
    """Levels that read `read(nβ)`, with errors drawn for a seed, and none without."""
    noise = np.zeros(6) if seed is None else error * np.random.default_rng(seed).standard_normal(6)
    levels = tuple(
        replace(GOOD, n_beta=n, value=read(n) + float(noise[i]), standard_error=error) for i, n in enumerate(N_BETAS)
    )
    value = read(N_BETAS[-2]) + float(noise[-1])
    tighter = replace(GOOD, n_beta=N_BETAS[-1], localisation=10**0.5, value=value, standard_error=error)
    return Plateau(levels, tighter, parameters)


def level_at(value: float) -> Callable[[float], float]:
    return lambda _: value


def multiplicity_2(n_beta: float) -> float:
    """That of K = ½ (xy)² beside regular parameters: λ = 8."""
    return 8.0 - 1.0 / (math.log(n_beta) - 2.0)


def test_a_multiplicity_of_2_is_seen_through() -> None:
    found = plateau(multiplicity_2)
    assert found.top.value < 7.87
    assert found.value == pytest.approx(8.0, abs=0.02)
    assert found.left_to_go == pytest.approx(8.0 - found.top.value, abs=0.03)


def test_a_flat_plateau_is_what_it_reads_up_to_what_its_noise_could_hide() -> None:
    loud, quiet = plateau(level_at(8.0), 0.03), plateau(level_at(8.0), 0.001)
    assert 8.0 < quiet.value < loud.value < 8.1
    assert quiet.interval[0] == pytest.approx(8.0, abs=0.01)


@pytest.mark.parametrize("read", [level_at(8.0), multiplicity_2], ids=["multiplicity 1", "multiplicity 2"])
def test_intervals_cover(read: Callable[[float], float]) -> None:
    """95 %: of 300 at least 270, which a right interval misses once in 1000 times."""
    intervals = [plateau(read, seed=seed).interval for seed in range(300)]
    assert sum(low <= 8.0 <= high for low, high in intervals) >= 270


def test_one_parameter_has_no_multiplicity() -> None:
    found = plateau(level_at(0.25), parameters=1)
    assert (found.value, found.left_to_go) == (pytest.approx(0.25), 0.0)
    assert found.interval == pytest.approx((0.25 - 1.96 * 0.03 / 5**0.5, 0.25 + 1.96 * 0.03 / 5**0.5), abs=1e-4)


@pytest.mark.parametrize(
    "read",
    [lambda n: 8.0 * n / (n + 300.0), lambda n: 8.0 + 20.0 / n**0.5, lambda n: math.log(n)],
    ids=["still rising", "falling", "rising without end"],
)
def test_what_changes_with_the_temperature_is_refused(read: Callable[[float], float]) -> None:
    assert any("does not plateau" in reason for reason in Requirements().against_plateau(plateau(read)))


def test_an_answer_that_is_mostly_extrapolated_is_refused() -> None:
    (reason, *_) = Requirements().against_plateau(plateau(lambda n: 0.5 - 1.0 / (math.log(n) + 1.0), error=0.002))
    assert reason.startswith("does not plateau: left to go is")


def test_an_answer_that_hangs_on_the_localisation_is_refused() -> None:
    found = plateau(level_at(8.0))
    other = Plateau(found.levels, replace(found.tighter, value=6.5), 30)
    (reason,) = Requirements().against_plateau(other)
    assert reason.startswith("depends on the localisation")


def test_an_answer_that_is_too_uncertain_is_refused() -> None:
    (*_, reason) = Requirements().against_plateau(plateau(level_at(8.0), error=2.0))
    assert reason.startswith("is too uncertain")


def test_a_good_plateau_is_accepted() -> None:
    for read in (level_at(8.0), multiplicity_2):
        assert Requirements().against_plateau(plateau(read, seed=1)) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"r_hat": 1.2}, "does not mix: R̂ of the loss is 1.200, 1.05 is accepted (at nβ=1, γ=1)"),
        ({"distance_r_hat": float("inf")}, "does not mix: R̂ of the distance from w* is inf"),
        ({"effective": 20.0}, "too few draws: 20 effective ones of the loss, 200 are needed"),
        ({"distance_effective": 0.0}, "too few draws: 0 effective ones of the distance from w*"),
        ({"equipartition": 0.4}, "drifts: (w − w*)·∇U is 0.400 of what it is in equilibrium"),
        ({"lowest": -1.0}, "w* is no minimum: the loss falls below that of w* by 1 / nβ"),
        ({"value": float("nan")}, "w* is no minimum"),
    ],
)
def test_a_level_is_refused_for_one_reason(change: dict[str, float], said: str) -> None:
    assert Requirements().against(GOOD) == ()
    (reason,) = Requirements().against(replace(GOOD, **change))
    assert reason.startswith(said)


def test_equipartition_is_missed_only_beyond_its_error() -> None:
    assert Requirements().against(replace(GOOD, equipartition=0.85, equipartition_error=0.1)) == ()
    assert Requirements().against(replace(GOOD, equipartition=0.85, equipartition_error=0.02)) != ()
