"""Boundaries where curves jump, and none where they drift or rise gradually: how often, by simulation."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from heldout.studies.trajectory.behaviour import ACCEPTED, CHANCE
from heldout.studies.trajectory.claims import claims_of
from heldout.studies.trajectory.findings import TrajectoryStudy
from heldout.studies.trajectory.jumps import jump_p_values
from heldout.studies.trajectory.phases import SHORTEST, jumps_of

RUNS, CURVES, PROMPTS = 60, 4, 96
Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


def autocorrelated(rho: float) -> Draw:
    return lambda generator, n: np.asarray(
        signal.lfilter([1], [1, -rho], generator.normal(size=(n + 50, CURVES)), axis=0)
    )[50:]


def rates(course: Callable[[int], NDArray[np.float64]]) -> Draw:
    return lambda generator, n: generator.binomial(PROMPTS, np.tile(course(n)[:, None], CURVES)) / PROMPTS


def ramp(n: int) -> NDArray[np.float64]:
    return np.linspace(0.0, 1.0, n)


def sigmoid(n: int) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.linspace(-3.0, 3.0, n)))


def jump(n: int) -> NDArray[np.float64]:
    return np.where(np.arange(n) < n // 2, 0.1, 0.9)


def shares_found(draw: Draw, n: int) -> float:
    generator, places = np.random.default_rng(0), np.arange(n, dtype=np.float64)
    return float(np.mean([bool(jumps_of(range(n), places, draw(generator, n))[0]) for _ in range(RUNS)]))


@pytest.mark.parametrize("n", [14, 24])
@pytest.mark.parametrize(
    "draw",
    [autocorrelated(0.7), autocorrelated(0.9), autocorrelated(1.0), rates(ramp), rates(sigmoid)],
    ids=["noise of autocorrelation .7", ".9", "a random walk", "a ramp", "a slow sigmoid"],
)
def test_no_boundary_where_nothing_jumps(draw: Draw, n: int) -> None:
    """By levels alone these had boundaries in up to all runs."""
    assert shares_found(draw, n) <= 0.1


@pytest.mark.parametrize("n", [14, 24])
def test_a_jump_is_a_boundary(n: int) -> None:
    assert shares_found(rates(jump), n) >= 0.95


def test_the_largest_step_of_a_random_walk_is_no_jump() -> None:
    """The change that is looked at is the one that stands out most, as a division would choose it."""
    generator, found = np.random.default_rng(0), 0
    for _ in range(400):
        walk: Any = 0.3 * np.arange(12)[:, None] + np.cumsum(generator.normal(size=(12, 1)), axis=0)
        found += min(jump_p_values(walk, range(1, 12), SHORTEST)) <= 0.05
    assert found <= 400 * 0.05 + 3 * (400 * 0.05 * 0.95) ** 0.5


def test_few_points_and_constant_curves_show_no_jump() -> None:
    assert jump_p_values(np.array([[0.0], [0.0], [1.0]]), [2], SHORTEST) == [1.0]
    assert jump_p_values(np.zeros((12, 2)), [6], SHORTEST) == [1.0]


def test_a_gradual_training_is_said_to_be_gradual(made_up: SimpleNamespace) -> None:
    cells = [
        [made_up.result(ACCEPTED, rate, 1e-9, null=CHANCE, chance=0.1, role="verified", settings={"cue": None})]
        for rate in np.linspace(0.1, 1.0, 24)
    ]
    study = TrajectoryStudy((made_up.course(cells),), "made up", "sums", 100)
    (claim,) = [each for each in claims_of(study) if each.id == "phases"]
    assert (claim.found, study.phases.boundaries, study.phases.starts) == (False, (), (0,))
    assert study.phases.gradual > 0
    assert claim.statement.startswith("Training changes gradually: no boundary was found.")
