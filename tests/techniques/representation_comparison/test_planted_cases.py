"""The traps that alignment is known for, drawn anew with several seeds: what is expected follows from theory."""

from __future__ import annotations

import numpy as np
import pytest

from heldout.techniques.representation_comparison import (
    MEASURES,
    BiasedCKA,
    DebiasedCKA,
    Draws,
    OrthogonalProcrustes,
    PrincipalComponents,
    compare,
)
from heldout.techniques.representation_comparison.kernel_alignment import gram
from heldout.techniques.representation_comparison.robustness import CHANCE, FIRST_COMPONENT, OUTLIERS

SEEDS = range(5)
FEW = Draws(permutations=39, halves=0)


def components(x: np.ndarray) -> PrincipalComponents:
    return PrincipalComponents.of(x)


@pytest.mark.parametrize("seed", SEEDS)
def test_few_items_of_many_features(sides, value_of, seed: int) -> None:
    """The diagonal of a Gram matrix is d, and the rest varies by d: biased CKA is d / (d + n). Without the diagonal there
    are n (n − 1) / 2 unrelated pairs, so that the debiased one varies by √(2 / n (n − 1))."""
    n, d = 100, 5000
    x, y = sides.independent(seed, n, d)
    assert value_of(BiasedCKA(), x, y) == pytest.approx(d / (d + n), abs=0.002)
    assert abs(value_of(DebiasedCKA(), x, y)) < 5 * np.sqrt(2 / (n * (n - 1)))


@pytest.mark.parametrize("seed", SEEDS)
def test_one_shared_outlier(sides, value_of, seed: int) -> None:
    """Its inner product with itself, R⁴, drowns the rest, 2 n R². Without it, what is left is how two unrelated rows of n
    agree, which varies by 1 / √n; and without the item, how unrelated items do."""
    x, y = sides.with_outliers(seed, 1)
    n = len(x)
    assert value_of(BiasedCKA(), x, y) > 1 - 5 * 2 * n / 1000**2
    assert abs(value_of(DebiasedCKA(), x, y)) < 5 / np.sqrt(n)
    found = compare(BiasedCKA(), components(x), components(y), FEW)
    assert OUTLIERS in found.flags
    assert 0 in found.removals.outliers
    assert found.removals.without_outliers.value == pytest.approx(64 / (64 + n), abs=0.02)
    debiased = compare(DebiasedCKA(), components(x), components(y), FEW)
    assert abs(debiased.removals.without_outliers.value) < 5 * np.sqrt(2) / n
    assert debiased.flags == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_two_shared_outliers_deceive_the_debiased_measure_too(sides, seed: int) -> None:
    x, y = sides.with_outliers(seed, 2)
    found = compare(DebiasedCKA(), components(x), components(y), FEW)
    assert found.value > 0.99
    assert OUTLIERS in found.flags
    assert {0, 1} <= set(found.removals.outliers)
    assert abs(found.removals.without_outliers.value) < 5 * np.sqrt(2) / len(x)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_dominant_shared_dimension(sides, seed: int) -> None:
    x, y = sides.with_shared_dimension(seed)
    for measure in (DebiasedCKA(), BiasedCKA(), OrthogonalProcrustes()):
        found = compare(measure, components(x), components(y), FEW)
        assert measure.similarity(found.value) > 0.99
        assert FIRST_COMPONENT in found.flags, measure.name
    found = compare(DebiasedCKA(), components(x), components(y), FEW)
    assert min(found.removals.first_shares) > 0.98
    assert abs(found.removals.without_first_component.value) < 5 * np.sqrt(2) / len(x)


@pytest.mark.parametrize("measure", [each for each in MEASURES if each.name != "debiased_cka"], ids=lambda m: m.name)
def test_measures_that_unrelated_items_satisfy_are_flagged(sides, measure) -> None:
    x, y = sides.independent(0, 60, 200)
    found = compare(measure, components(x), components(y), FEW)
    assert measure.similarity(found.value) > 0.7
    assert CHANCE in found.flags
    assert found.p_value > 0.05


def test_what_is_broadly_alike_is_not_flagged(sides) -> None:
    x, y = sides.related(0, n=200, d=20, noise=0.3)
    for measure in MEASURES:
        assert compare(measure, components(x), components(y), FEW).flags == (), measure.name


def test_gaussian_items_are_not_far_out(sides) -> None:
    """A squared norm of 64 normal variables is 4.7 standard deviations above its mean once in a million items."""
    found = [components(sides.independent(seed, 500, 64)[0]).outlying.sum() for seed in range(20)]
    assert sum(found) <= 2


def test_copies_of_items_make_unrelated_sides_alike(sides) -> None:
    """Why an interval must not draw items with replacement: a copy brings an item's product with itself back."""
    x, y = sides.independent(3, 100, 400)
    rows = np.random.default_rng(0).integers(100, size=100)
    resampled = DebiasedCKA().value(*(DebiasedCKA().side(components(side[rows])) for side in (x, y)))
    once = DebiasedCKA().value(*(DebiasedCKA().side(components(side)) for side in (x, y)))
    assert abs(once) < 0.08
    assert resampled > 0.3
    assert np.diag(gram(components(x))).min() > 0
