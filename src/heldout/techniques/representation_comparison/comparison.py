"""Two sides under one measure: the value, what unrelated items give, its interval, and what it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from heldout.errors import InputError, Problems
from heldout.seeds import numpy_generator
from heldout.statistics import permutation_p_value
from heldout.techniques.representation_comparison.measure import Measure, Side
from heldout.techniques.representation_comparison.principal_components import Array, PrincipalComponents, Rows
from heldout.techniques.representation_comparison.robustness import Removals, removals

LEAST_ITEMS = 10
LEAST_HALF = 4
"""Rows that a half must have: the unbiased HSIC needs four."""


@dataclass(frozen=True)
class Draws:
    """How often rows are permuted for the null, and halved for the interval."""

    permutations: int = 199
    halves: int = 199
    seed: int = 0


@final
@dataclass(frozen=True, eq=False)
class Comparison:
    """What one measure says of two sides. `unrelated` are its values for permuted rows of the second side."""

    measure: Measure
    value: float
    items: int
    rows: int
    unrelated: Array
    interval: tuple[float, float] | None
    removals: Removals

    @property
    def p_value(self) -> float:
        """The share of permutations in which the sides are at least as alike."""
        similarity = self.measure.similarity
        return permutation_p_value(float(similarity(self.value)), np.asarray(similarity(self.unrelated)))

    @property
    def flags(self) -> tuple[str, ...]:
        return self.removals.flags(self.measure, self.value, self.unrelated)


def compare(
    measure: Measure, one: PrincipalComponents, other: PrincipalComponents, draws: Draws | None = None
) -> Comparison:
    """Row i of both sides is the same item. Raises InputError for sides that cannot be compared."""
    check_sides(f"compare({measure.name})", one, other)
    draws = draws or Draws()
    first, second = measure.side(one), measure.side(other)
    value = measure.value(first, second)
    return Comparison(
        measure=measure,
        value=value,
        items=len(one),
        rows=len(first),
        unrelated=unrelated_values(measure, first, second, draws),
        interval=half_sampling_interval(measure, value, first, second, draws),
        removals=removals(measure, one, other),
    )


def check_sides(called: str, one: PrincipalComponents, other: PrincipalComponents) -> None:
    problems = Problems(called)
    if len(one) != len(other):
        found = f"{len(one)} items on one side and {len(other)} on the other"
        problems.add(found, "the same items on both sides", "read both models on the same prompts, in the same order")
    if min(len(one), len(other)) < LEAST_ITEMS:
        found = f"{min(len(one), len(other))} items"
        problems.add(found, f"at least {LEAST_ITEMS} items", "add prompts: some hundreds make intervals narrow")
    if one.constant or other.constant:
        which = [name for name, side in (("first", one), ("second", other)) if side.constant]
        found = f"the same activations for every item on the {' and the '.join(which)} side"
        next_step = "choose a later site, or another position"
        problems.add(found, "activations in which the items differ", next_step)
    if problems.found:
        raise InputError(problems.called, *problems.found)


def unrelated_values(measure: Measure, first: Side, second: Side, draws: Draws) -> Array:
    """The value when the rows of the second side are in a random order, one a permutation."""
    orders = row_orders(len(second), draws.permutations, draws.seed)
    return np.array([measure.value(first, second.permuted(order)) for order in orders], dtype=np.float64)


def row_orders(rows: int, count: int, seed: int) -> list[Rows]:
    """Random orders; the same for equal numbers of rows, so that comparisons share them."""
    generator = numpy_generator(seed, "orders of rows", rows)
    return [generator.permutation(rows) for _ in range(count)]


def half_sampling_interval(
    measure: Measure, value: float, first: Side, second: Side, draws: Draws
) -> tuple[float, float] | None:
    """The 95 % interval by random halves of the rows, drawn without replacement; None for too few rows.

    A value of n/2 of n rows spreads around its mean as much as one of n rows does around the truth: σ² (2/n − 1/n) = σ²/n
    (Politis and Romano 1994). A bootstrap with replacement would put copies of an item beside each other, whose inner
    product is the one that debiased CKA has to leave out. Biases that depend on the number of rows cancel, as the spread
    alone is used."""
    if len(first) < 2 * LEAST_HALF or not draws.halves:
        return None
    generator = numpy_generator(draws.seed, "halves of the rows", len(first))
    values: list[float] = []
    for _ in range(draws.halves):
        rows = np.sort(generator.permutation(len(first))[: len(first) // 2])
        values.append(measure.value(first.chosen(rows), second.chosen(rows)))
    ends = value + np.quantile(np.array(values) - np.mean(values), [0.025, 0.975])
    low, high = np.clip(ends, *measure.limits)
    return float(low), float(high)
