"""Nulls and intervals: are they what they say, and what cannot be compared."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from heldout.errors import InputError
from heldout.techniques.representation_comparison import MEASURES, RSA, DebiasedCKA, Draws, PrincipalComponents, compare

LABELS = tuple(f"c{index % 9}" for index in range(90))


def components(x: np.ndarray) -> PrincipalComponents:
    return PrincipalComponents.of(x)


@pytest.mark.parametrize("measure", [*MEASURES, RSA(LABELS)], ids=lambda measure: measure.name)
def test_a_model_is_outside_the_null_of_itself(sides, measure) -> None:
    x, _ = sides.independent(0, 90, 6)
    found = compare(measure, components(x), components(3 * x @ sides.rotation(0, 6)), Draws(99, 19))
    assert measure.similarity(found.value) == pytest.approx(1.0, abs=1e-6)
    assert found.p_value == 1 / 100
    assert found.interval == pytest.approx((found.value, found.value), abs=1e-6)
    assert measure.similarity(found.unrelated).max() < 0.9


@pytest.mark.parametrize("measure", [*MEASURES, RSA(LABELS)], ids=lambda measure: measure.name)
def test_unrelated_sides_are_rarely_outside_it(sides, measure) -> None:
    """P-values of unrelated sides are uniform: of 40 no more are below 0.1 than happens once in a thousand."""
    pairs = [sides.independent(seed, 90, 6) for seed in range(40)]
    found = [compare(measure, components(x), components(y), Draws(19, 0, seed)) for seed, (x, y) in enumerate(pairs)]
    assert sum(each.p_value <= 0.1 for each in found) <= binom.isf(1e-3, 40, 0.1)


def population_alignment(x_scale: np.ndarray, mixing: np.ndarray) -> float:
    """CKA of x = g x_scale and y = x mixing + e for unlimited items, from the covariances."""
    own = x_scale @ x_scale
    across, other = own @ mixing, mixing.T @ own @ mixing + np.eye(len(mixing))
    return float((across**2).sum() / np.sqrt((own**2).sum() * (other**2).sum()))


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_the_interval_holds_the_truth_as_often_as_it_says(strength: float) -> None:
    generator = np.random.default_rng(5)
    scale, mixing = np.diag(np.linspace(2, 0.3, 8)), strength * generator.normal(size=(8, 8)) / np.sqrt(8)
    truth, held, repeats = population_alignment(scale, mixing), 0, 80
    for repeat in range(repeats):
        x = generator.normal(size=(60, 8)) @ scale
        y = x @ mixing + generator.normal(size=(60, 8))
        low, high = compare(DebiasedCKA(), components(x), components(y), Draws(0, 99, repeat)).interval
        held += low <= truth <= high
    assert held >= binom.isf(0.999, repeats, 0.95)


def test_intervals_stay_where_the_measure_lives(sides) -> None:
    x, y = sides.with_outliers(0, 2, n=60, d=8)
    for measure in MEASURES:
        low, high = compare(measure, components(x), components(y), Draws(0, 39)).interval
        assert measure.limits[0] <= low <= high <= measure.limits[1]


def test_the_same_seed_gives_the_same(sides) -> None:
    x, y = sides.related(0, n=40)
    first, again = (compare(DebiasedCKA(), components(x), components(y), Draws(19, 19, 7)) for _ in range(2))
    other = compare(DebiasedCKA(), components(x), components(y), Draws(19, 19, 8))
    assert first.interval == again.interval
    assert np.array_equal(first.unrelated, again.unrelated)
    assert first.interval != other.interval


def test_without_draws_there_is_neither_null_nor_interval(sides) -> None:
    x, y = sides.related(0, n=40)
    found = compare(DebiasedCKA(), components(x), components(y), Draws(0, 0))
    assert (len(found.unrelated), found.interval) == (0, None)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    x = np.random.default_rng(0).normal(size=(8, 3))
    with pytest.raises(InputError) as raised:
        compare(DebiasedCKA(), components(x), components(np.ones((9, 3))))
    assert raised.value.called == "compare(debiased_cka)"
    assert [problem.found for problem in raised.value.problems] == [
        "8 items on one side and 9 on the other",
        "8 items",
        "the same activations for every item on the second side",
    ]


def test_rsa_needs_conditions_that_recur(sides) -> None:
    x, y = sides.related(0, n=40)
    with pytest.raises(InputError) as raised:
        compare(RSA(LABELS[:30]), components(x), components(y))
    assert raised.value.problems[0].found == "30 conditions for at least 40 items"
    once = tuple(f"c{index}" for index in range(40))
    with pytest.raises(InputError) as raised:
        compare(RSA((*once[:-1], once[0])), components(x), components(y))
    assert raised.value.problems[0].found == "1 conditions with at least 2 items"


def test_conditions_of_one_item_are_left_out(sides, value_of) -> None:
    x, y = sides.related(0, n=41)
    labels = (*LABELS[:40], "alone")
    assert value_of(RSA(labels), x, y) == pytest.approx(value_of(RSA(LABELS[:40]), x[:40], y[:40]), abs=1e-9)
