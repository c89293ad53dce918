"""Intervals of ratios hold the truth as often as they say, whatever is known of the unit; where nothing is, there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from heldout.statistics import mean_interval
from heldout.studies.reward.ratios import Ratio, difference_of, ratio_of

DRAWN = 1000
MOST = 70
"""Of 1000 intervals at 95 % that miss; more is once in 300 times."""

Groups = dict[str, float]


def groups(values: np.ndarray, prefix: str = "g") -> Groups:
    return {f"{prefix}{place}": float(value) for place, value in enumerate(values)}


def drawn(
    generator: np.random.Generator, slope: float, unit: float, spread: float, shared: float
) -> tuple[Groups, Groups]:
    """Slopes of ten groups of a feature, and of quality, with correlated errors."""
    errors = generator.multivariate_normal([0, 0], [[1, shared], [shared, 1]], 10)
    return groups(slope + 0.3 * errors[:, 0]), groups(unit + spread * errors[:, 1])


def test_each_end_is_where_a_test_on_the_same_groups_gives_up() -> None:
    """Fieller's interval holds the values θ that Student's test of own − θ · unit does not reject."""
    own, unit = drawn(np.random.default_rng(0), 0.8, 1.0, 0.6, 0.5)
    found = ratio_of(own, unit)
    assert found is not None
    a, b = (np.array(list(each.values())) for each in (own, unit))
    for end in found.interval:
        test: Any = stats.ttest_1samp(a - end * b, 0.0)
        assert test.pvalue == pytest.approx(0.05)
    low, high = found.interval
    assert low < found.value < high


@pytest.mark.parametrize(
    ("unit", "spread", "shared"), [(1.0, 0.8, 0.0), (1.0, 1.5, 0.0), (1.0, 0.8, 0.7), (-1.0, 0.8, 0.7)]
)
def test_a_weak_unit_is_not_taken_for_a_known_one(unit: float, spread: float, shared: float) -> None:
    """Dividing by the mean as if it were known misses far more often than it says."""
    generator = np.random.default_rng(1)
    missed, naive = 0, 0
    for _ in range(DRAWN):
        own, units = drawn(generator, 0.8, unit, spread, shared)
        found = ratio_of(own, units)
        missed += found is not None and not holds(found.interval, 0.8)
        fixed = mean_interval(np.array(list(own.values())) / abs(np.mean(list(units.values()))))
        assert fixed is not None
        naive += not holds(fixed, 0.8)
    assert missed <= MOST
    assert naive > 2 * MOST or shared * unit > 0


def holds(interval: tuple[float, float], truth: float) -> bool:
    return interval[0] <= truth <= interval[1]


def test_groups_that_are_not_shared_are_independent() -> None:
    generator = np.random.default_rng(2)
    missed = 0
    for _ in range(DRAWN):
        own, unit = groups(generator.normal(0.8, 0.5, 12), "own "), groups(generator.normal(1.0, 0.8, 20), "unit ")
        found = ratio_of(own, unit)
        missed += found is not None and not holds(found.interval, 0.8)
    assert missed <= MOST


def test_a_unit_that_may_be_nothing_gives_no_ratio() -> None:
    own = groups(np.full(8, 0.5) + np.linspace(-0.1, 0.1, 8))
    around_zero = groups(np.array([1.0, -1.0, 1.2, -0.8, 0.9, -1.1, 1.0, -0.9]))
    assert ratio_of(own, around_zero) is None
    assert ratio_of(own, groups(np.zeros(8))) is None


def test_the_sign_of_the_unit_does_not_matter() -> None:
    own, unit = drawn(np.random.default_rng(3), 0.8, 1.0, 0.5, 0.4)
    turned = {name: -value for name, value in unit.items()}
    first, second = ratio_of(own, unit), ratio_of(own, turned)
    assert first is not None
    assert second is not None
    assert second.value == pytest.approx(first.value)
    assert second.interval == pytest.approx(first.interval)
    assert second.influence == pytest.approx(first.influence)


def test_the_influence_is_what_the_ratio_gains_from_a_groups_weight() -> None:
    own, unit = drawn(np.random.default_rng(4), 0.8, 1.0, 0.5, 0.4)
    found = ratio_of(own, unit)
    assert found is not None
    a, b, weights = np.array(list(own.values())), np.array(list(unit.values())), np.ones(len(own))
    weights[3] += 1e-6
    moved = float((weights * a).sum() / (weights * b).sum())
    assert len(own) * (moved - found.value) / 1e-6 == pytest.approx(found.influence["g3"], rel=1e-3)


@pytest.mark.parametrize("spread", [0.2, 0.6])
@pytest.mark.parametrize(("earlier", "later"), [(0.8, 0.8), (-0.4, 0.9)])
def test_differences_of_ratios_hold_the_truth(spread: float, earlier: float, later: float) -> None:
    generator = np.random.default_rng(5)
    missed = 0
    for _ in range(DRAWN):
        first = ratio_of(*drawn(generator, earlier, 1.0, spread, 0.3))
        second = ratio_of(*drawn(generator, 3.0 * later, 3.0, 3.0 * spread, 0.3))
        if first is not None and second is not None:
            found = difference_of(first, second)
            missed += not holds(found.interval, later - earlier)
            assert found.pseudo_values.mean() == pytest.approx(found.value)
    assert missed <= MOST


def test_a_ratio_hardly_differs_from_itself() -> None:
    """The interval is not symmetric about the ratio, so that its sides do not cancel in full."""
    found = ratio_of(*drawn(np.random.default_rng(6), 0.8, 1.0, 0.5, 0.4))
    assert isinstance(found, Ratio)
    difference = difference_of(found, found)
    assert difference.value == 0.0
    assert difference.interval[1] - difference.interval[0] < 0.1 * (found.interval[1] - found.interval[0])
