"""What a value stands on: does it stay when the first principal component, or the items that are far out, are gone?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from heldout.errors import InputError
from heldout.techniques.representation_comparison.measure import Measure
from heldout.techniques.representation_comparison.principal_components import Array, PrincipalComponents

CHANCE = "chance"
FIRST_COMPONENT = "first component"
OUTLIERS = "outliers"
FLAGS = {
    CHANCE: "unrelated items give more than half of the value",
    FIRST_COMPONENT: "the value changes by more than half without the first principal component of each side",
    OUTLIERS: "the value changes by more than half without the items that are far out",
}

MOST = 0.5
"""The share of a value whose loss is flagged."""
LEAST = 0.1
"""A change of likeness below this is flagged in no case."""
LEAST_REST = 10
"""Items that have to be left for a value without outliers."""


@final
@dataclass(frozen=True)
class Removals:
    """Values after removal, None where nothing is left to compare. `outliers` are the numbers of items that are far out on
    either side; `first_shares` of the variance are those of the first component of each side."""

    without_first_component: float | None
    first_shares: tuple[float, float]
    without_outliers: float | None
    outliers: tuple[int, ...]

    def flags(self, measure: Measure, value: float, unrelated: Array) -> tuple[str, ...]:
        """Names out of `FLAGS`, in their order."""
        likeness = float(measure.similarity(value))
        chance = float(np.mean(measure.similarity(unrelated))) if len(unrelated) else 0.0
        found = [CHANCE] if chance > max(LEAST, MOST * likeness) else []
        for flag, after in ((FIRST_COMPONENT, self.without_first_component), (OUTLIERS, self.without_outliers)):
            if after is not None and changed(likeness, float(measure.similarity(after)), chance):
                found.append(flag)
        return tuple(found)


def changed(before: float, after: float, chance: float) -> bool:
    """Whether more than half of the larger likeness is gone, or was hidden. What unrelated items give does not count as
    likeness: it stays in a biased measure, whatever is removed."""
    return abs(before - after) > max(LEAST, MOST * (max(before, after) - chance))


def removals(measure: Measure, one: PrincipalComponents, other: PrincipalComponents) -> Removals:
    far_out = one.outlying | other.outlying
    rest = np.flatnonzero(~far_out)
    return Removals(
        without_first_component=value_or_none(measure, one.without_first(1), other.without_first(1)),
        first_shares=(one.first_share, other.first_share),
        without_outliers=without_items(measure, one, other, rest),
        outliers=tuple(one.items[far_out].tolist()),
    )


def without_items(measure: Measure, one: PrincipalComponents, other: PrincipalComponents, rest: Any) -> float | None:
    if len(rest) < LEAST_REST:
        return None
    return value_or_none(measure, one.of_items(rest), other.of_items(rest))


def value_or_none(measure: Measure, one: PrincipalComponents, other: PrincipalComponents) -> float | None:
    """None where a side has nothing left in which items differ, or the measure cannot be had of it."""
    if one.constant or other.constant:
        return None
    try:
        return measure.value(measure.side(one), measure.side(other))
    except InputError:
        return None
