"""The sampler against distributions whose moments are known, and its trajectories against mechanics."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from heldout.techniques.learning_coefficient import Landscape, Level, Sampling
from heldout.techniques.learning_coefficient.draws import draw
from heldout.techniques.learning_coefficient.posterior import Posterior, State

CURVATURES = torch.tensor([0.0, 0.0, 0.5, 1.0, 4.0], dtype=torch.float64)
"""Two directions that the loss leaves free."""

FEW = Sampling(chains=32, draws=150, warmup=40)


def quadratic(w: Tensor) -> Tensor:
    return (CURVATURES * (w - 3.0).square()).sum() / 2


def quartic(w: Tensor) -> Tensor:
    return w.square().prod() + 0.1 * w.pow(4).sum()


def gaussian(n_beta: float = 50.0, localisation: float = 2.0) -> Posterior:
    return Posterior(Landscape(quadratic, torch.full((5,), 3.0, dtype=torch.float64)), n_beta, localisation)


def bent() -> Posterior:
    return Posterior(Landscape(quartic, torch.zeros(3, dtype=torch.float64)), 30.0, 1.0)


def drawn(posterior: Posterior, sampling: Sampling = FEW, seed: int = 0) -> Level:
    return Level.of(posterior, draw(posterior, sampling, torch.Generator().manual_seed(seed)))


def moving(posterior: Posterior) -> tuple[State, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = 7, len(posterior.landscape)
    away = 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    momenta = torch.randn(shape, generator=generator, dtype=torch.float64)
    return posterior.state(posterior.landscape.point + away), momenta


def energy(posterior: Posterior, state: State, momenta: Tensor) -> Tensor:
    return posterior.potentials(state) + momenta.square().sum(dim=1) / 2


def test_the_slope_is_the_gradient_of_the_potential() -> None:
    posterior = bent()
    state, _ = moving(posterior)
    step = 1e-6
    for i in range(3):
        aside = torch.zeros(3, dtype=torch.float64)
        aside[i] = step
        ahead, behind = (posterior.state(state.parameters + sign * aside) for sign in (1, -1))
        numeric = (posterior.potentials(ahead) - posterior.potentials(behind)) / (2 * step)
        assert torch.allclose(posterior.slopes(state)[:, i], numeric, rtol=1e-6, atol=1e-6)


def test_a_trajectory_of_a_quarter_period_of_the_prior_exchanges_place_and_momentum() -> None:
    """In the free directions, where the potential is γ/2 ‖w − w*‖²."""
    posterior = gaussian(localisation=2.0)
    state, momenta = moving(posterior)
    quarter = math.pi / 2 / 2.0**0.5
    ended, _ = posterior.trajectory(state, momenta, quarter / 2000, 2000)
    expected = momenta[:, :2] / 2.0**0.5
    assert torch.allclose(ended.parameters[:, :2] - 3.0, expected, atol=1e-6)


def test_the_error_of_the_energy_shrinks_with_the_square_of_the_step() -> None:
    posterior = bent()
    state, momenta = moving(posterior)
    gained = [
        -posterior.trajectory(state, momenta, 0.2 / count, count)[1].log().clamp(max=0.0).sum() for count in (20, 40)
    ]
    assert float(gained[0] / gained[1]) == pytest.approx(4.0, rel=0.1)


def test_what_leaves_the_finite_numbers_is_rejected() -> None:
    posterior = bent()
    state, momenta = moving(posterior)
    _, probabilities = posterior.trajectory(state, momenta, 50.0, 10)
    assert torch.equal(probabilities, torch.zeros(7, dtype=torch.float64))


@pytest.mark.parametrize("seed", [0, 1])
def test_moments_of_a_gaussian_are_exact(seed: int) -> None:
    """Within four standard errors: nβ (E[L] − L*) = ½ Σ nβ h / (nβ h + γ), and γ E‖w − w*‖² = Σ γ / (nβ h + γ)."""
    level = drawn(gaussian(), seed=seed)
    stiff = 50.0 * CURVATURES
    exact = float((stiff / (stiff + 2.0)).sum() / 2)
    assert abs(level.value - exact) < 4 * level.standard_error
    assert level.standard_error < 0.05
    assert 2.0 * level.distance**2 == pytest.approx(float((2.0 / (stiff + 2.0)).sum()), rel=0.1)
    assert level.equipartition == pytest.approx(1.0, abs=4 * level.equipartition_error)


def test_crude_steps_widen_the_error_and_leave_no_bias() -> None:
    """Single steps of a size with which plain Langevin dynamics, w' = w − ε²/2 ∇U + ε ξ, would be a tenth off or more: its
    stationary variance in a direction of stiffness k is 1 / (k (1 − k ε²/4))."""
    crude = Sampling(chains=32, draws=6000, warmup=300, acceptance=0.85, largest_steps=1)
    level = drawn(gaussian(localisation=20.0), crude)
    loss, both = 50.0 * CURVATURES, 50.0 * CURVATURES + 20.0
    exact = float((loss / both).sum() / 2)
    plain = float((loss / (both * (1.0 - both * level.step**2 / 4))).sum() / 2)
    assert plain > 1.1 * exact
    assert level.standard_error < 0.02 * exact
    assert abs(level.value - exact) < 4 * level.standard_error


def test_equipartition_holds_where_the_loss_is_no_quadratic() -> None:
    level = drawn(bent())
    assert level.equipartition == pytest.approx(1.0, abs=4 * level.equipartition_error)
    assert level.equipartition_error < 0.05


def test_the_step_is_accepted_about_as_often_as_asked() -> None:
    for asked in (0.6, 0.8):
        sampling = Sampling(chains=64, draws=100, warmup=100, acceptance=asked)
        assert drawn(bent(), sampling).acceptance == pytest.approx(asked, abs=0.12)


def test_chains_that_have_no_time_to_spread_miss_equipartition() -> None:
    """Two of five directions are the prior's alone, and short trajectories hardly move there."""
    hurried = Sampling(chains=32, draws=60, warmup=20, length=0.01)
    level = drawn(gaussian(n_beta=5000.0, localisation=0.01), hurried)
    assert level.equipartition < 0.8
    assert level.distance_r_hat > 1.1


def test_the_same_seed_gives_the_same_draws() -> None:
    assert drawn(bent(), seed=3) == drawn(bent(), seed=3)
    assert drawn(bent(), seed=3) != drawn(bent(), seed=4)


def test_gradient_evaluations_are_those_that_were_made() -> None:
    calls = 0

    def counted(w: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return quadratic(w)

    landscape = Landscape(counted, torch.full((5,), 3.0, dtype=torch.float64), together=False)
    calls = 0
    level = drawn(Posterior(landscape, 50.0, 2.0), Sampling(chains=2, draws=8, warmup=3))
    first_steps = calls - level.gradient_evaluations - 1
    assert 0 < first_steps <= 2 * 60
