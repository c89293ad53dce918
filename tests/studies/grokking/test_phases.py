"""Phases: planted courses of four losses are named as they were planted, also under noise."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from heldout.errors import InputError
from heldout.studies.drawing.bands import band, mean_with_interval
from heldout.studies.grokking import LossCurves, PhaseSpan, divide, phases
from heldout.studies.grokking.phases import FEWEST

STEPS = tuple(round(2500 * (place / 39) ** 2) for place in range(40))
CHANGES = (8, 18, 28, 34)
NAMES = ("memorisation", "plateau", "circuit formation", "clean-up", "settled")


def planted(noise: float, seed: int) -> LossCurves:
    """Each phase moves what it is named for, in units of ten-fold changes."""
    slopes = np.zeros((40, 4))
    slopes[1:8] = [-0.5, 0.05, 0.0, -0.4]
    slopes[18:28] = [0.0, 0.0, -0.2, 0.3]
    slopes[28:34] = [0.0, -0.8, -0.5, 0.1]
    logarithms = slopes.cumsum(axis=0) + np.random.default_rng(seed).normal(0, noise, (40, 4))
    return LossCurves(STEPS, *(10.0**logarithms).T)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_planted_phases_are_named(noise: float) -> None:
    for seed in range(5):
        spans = phases(planted(noise, seed))
        assert tuple(span.phase for span in spans) == NAMES
        for span, change in zip(spans[1:], CHANGES, strict=True):
            assert abs(STEPS.index(span.start) - change) <= 2


def test_phases_follow_each_other_without_a_gap() -> None:
    spans = phases(planted(0.05, 0))
    assert (spans[0].start, spans[-1].end) == (0, STEPS[-1])
    assert all(one.end == other.start for one, other in pairwise(spans))


def test_a_model_that_only_memorises_never_cleans_up() -> None:
    course = planted(0.02, 0)
    still = LossCurves(STEPS, course.train, np.full(40, 9.0), np.full(40, 4.0), course.train)
    assert {span.phase for span in phases(still)} == {"memorisation", "plateau"}


def test_a_model_that_does_not_change_has_one_phase() -> None:
    ones = np.ones(40)
    assert phases(LossCurves(STEPS, ones, ones, ones, ones)) == (PhaseSpan("plateau", 0, 2500),)


@pytest.mark.parametrize("count", [1, 3, FEWEST - 1])
def test_too_few_checkpoints_for_a_change_are_refused(count: int) -> None:
    """Five points are one piece of straight line, whatever happens in them: that is no phase that was found."""
    course = planted(0.0, 0)
    few = LossCurves(
        STEPS[:count], *(curve[-count:] for curve in (course.train, course.test, course.train, course.test))
    )
    with pytest.raises(InputError) as raised:
        phases(few)
    assert f"found:    {count} checkpoints\nexpected: 6 or more: two pieces of 3" in str(raised.value)
    assert len(divide(np.arange(float(FEWEST - 1)), np.eye(FEWEST - 1) * 9).starts) == 1


def test_a_change_in_as_few_as_are_taken_is_found() -> None:
    """Trained pairs are learnt in the first three of six, the others in the last three."""
    exact = 10.0 ** np.array(
        [[0, 0, 0, 0], [-3, 0, 0, 0], [-6, 0, 0, 0], [-6, 0, 0, 0], [-6, -3, -3, 0], [-6, -6, -6, 0]]
    )
    assert [span.phase for span in phases(LossCurves(tuple(range(0, 36, 6)), *exact.T))] == ["memorisation", "clean-up"]


def test_bands_are_geometric_means_of_losses() -> None:
    first, second = band([0, 5], [[1e-8, 2.0], [1e-4, 2.0]], logarithmic=True)
    assert (first.x, second.x) == (0, 5)
    assert first.mean == pytest.approx(1e-6)
    assert second.interval == pytest.approx((2.0, 2.0))
    # Student's t of one degree of freedom at 97.5 % is 12.706; the logarithms −8 and −4 have a standard error of 2.
    assert np.log10(first.interval) == pytest.approx((-6 - 25.412, -6 + 25.412), abs=1e-3)


def test_a_single_seed_has_no_interval() -> None:
    assert mean_with_interval([3.0], False) == (3.0, None)
