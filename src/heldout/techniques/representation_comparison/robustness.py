"""What a value stands on: does it stay when the first principal component, or the items that are far out, are gone?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from heldout.errors import InputError
from heldout.seeds import numpy_generator
from heldout.techniques.representation_comparison.measure import Measure
from heldout.techniques.representation_comparison.principal_components import Array, PrincipalComponents, Rows

CHANCE = "chance"
FIRST_COMPONENT = "first component"
OUTLIERS = "outliers"
FLAGS = {
    CHANCE: "unrelated items give more than half of the likeness",
    FIRST_COMPONENT: "likeness beyond chance changes by more than half without the first principal component of each side",
    OUTLIERS: "likeness beyond chance changes by more than half without the items that are far out",
}

MOST = 0.5
"""The share of likeness whose loss is flagged."""
LEAST = 0.1
"""A change of likeness below this is flagged in no case."""
LEAST_REST = 10
"""Items that have to be left for a value without outliers."""
ORDERS = 9
"""Permutations for what unrelated items give after a removal."""


@final
@dataclass(frozen=True)
class Rest:
    """A value after a removal, and what unrelated items give after it, on average."""

    value: float
    chance: float


@final
@dataclass(frozen=True)
class Removals:
    """What is left after removal, None where that is nothing to compare. `outliers` are the numbers of items that are far
    out on either side; `first_shares` of the variance are those of the first component of each side."""

    without_first_component: Rest | None
    first_shares: tuple[float, float]
    without_outliers: Rest | None
    outliers: tuple[int, ...]

    def flags(self, measure: Measure, value: float, unrelated: Array) -> tuple[str, ...]:
        """Names out of `FLAGS`, in their order."""
        chance = float(np.mean(unrelated)) if len(unrelated) else None
        likeness = float(measure.similarity(value))
        found: list[str] = []
        if chance is not None and float(measure.similarity(chance)) > max(LEAST, MOST * likeness):
            found.append(CHANCE)
        before = beyond_chance(measure, value, chance)
        for flag, rest in ((FIRST_COMPONENT, self.without_first_component), (OUTLIERS, self.without_outliers)):
            if rest is not None and changed(before, beyond_chance(measure, rest.value, rest.chance)):
                found.append(flag)
        return tuple(found)


def beyond_chance(measure: Measure, value: float, chance: float | None) -> float:
    """Likeness in excess of that of unrelated items, which stays in a biased measure whatever is removed."""
    return float(measure.similarity(value)) - (0.0 if chance is None else float(measure.similarity(chance)))


def changed(before: float, after: float) -> bool:
    """Whether more than half of the larger likeness is gone, or was hidden."""
    return abs(before - after) > max(LEAST, MOST * max(before, after))


def removals(measure: Measure, one: PrincipalComponents, other: PrincipalComponents) -> Removals:
    far_out = one.outlying | other.outlying
    return Removals(
        without_first_component=rest_of(measure, one.without_first(1), other.without_first(1)),
        first_shares=(one.first_share, other.first_share),
        without_outliers=without_items(measure, one, other, np.flatnonzero(~far_out)),
        outliers=tuple(one.items[far_out].tolist()),
    )


def without_items(measure: Measure, one: PrincipalComponents, other: PrincipalComponents, kept: Rows) -> Rest | None:
    if len(kept) < LEAST_REST:
        return None
    if len(kept) == len(one):
        return rest_of(measure, one, other)
    return rest_of(measure, one.of_items(kept), other.of_items(kept))


def rest_of(measure: Measure, one: PrincipalComponents, other: PrincipalComponents) -> Rest | None:
    """None where a side has nothing left in which items differ, or the measure cannot be had of it."""
    if one.constant or other.constant:
        return None
    try:
        first, second = measure.side(one), measure.side(other)
    except InputError:
        return None
    generator = numpy_generator(0, "orders after a removal", len(second))
    chances = [measure.value(first, second.permuted(generator.permutation(len(second)))) for _ in range(ORDERS)]
    return Rest(measure.value(first, second), float(np.mean(chances)))
