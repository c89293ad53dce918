"""Two reward models on the same pairs: whose slopes changed, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, final

import numpy as np

from heldout.statistics import holm, permutation_p_value
from heldout.studies.reward.pairs import ALPHA, QUALITY
from heldout.studies.reward.ratios import Difference, difference_of, ratio_of
from heldout.studies.reward.slopes import WORTH, Slope, permuted_means


@final
@dataclass(frozen=True)
class Change:
    """Of a feature's slope, each in units of its own model's slope of quality; of quality itself, in units of its slope
    before. The interval has the error of these units too. The p-value is from random signs of the groups' changes,
    corrected over quality and all features (Holm)."""

    feature: str
    before: float
    after: float
    interval: tuple[float, float]
    null: tuple[float, float]
    p_value: float
    groups: int

    @property
    def difference(self) -> float:
        return self.after - self.before

    @property
    def found(self) -> bool:
        """More than WORTH units of quality, beyond doubt."""
        low, high = self.interval
        return self.p_value <= ALPHA and (low > WORTH or high < -WORTH)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "found": self.found}


@final
@dataclass(frozen=True)
class UnknownChange:
    """Of a feature whose slope has no unit in one of the models: there the slope of quality was not found."""

    feature: str

    @property
    def found(self) -> bool:
        return False

    def to_json(self) -> dict[str, Any]:
        return {"feature": self.feature, "found": False, "unknown": "the slope of quality was not found in both models"}


def changes_between(before: Sequence[Slope], after: Sequence[Slope], seed: int) -> tuple[Change | UnknownChange, ...]:
    """Quality first, then every feature. What is unknown was asked too, and counts in the correction."""
    alone = [change_of(*slopes, seed) for slopes in zip(before, after, strict=True)]
    corrected = holm([each.p_value if isinstance(each, Change) else 1.0 for each in alone])
    return tuple(
        replace(each, p_value=p_value) if isinstance(each, Change) else each
        for each, p_value in zip(alone, corrected, strict=True)
    )


def change_of(before: Slope, after: Slope, seed: int) -> Change | UnknownChange:
    if before.feature == QUALITY:
        earlier = ratio_of(before.by_group, before.by_group) if before.found else None
        later = ratio_of(after.by_group, before.by_group) if before.found else None
    else:
        earlier, later = before.in_quality, after.in_quality
    if earlier is None or later is None:
        return UnknownChange(before.feature)
    return changed(before.feature, earlier.value, later.value, difference_of(earlier, later), seed)


def changed(feature: str, before: float, after: float, difference: Difference, seed: int) -> Change:
    draws = permuted_means(difference.pseudo_values, seed, f"{feature} before and after")
    low, high = np.quantile(draws, (0.025, 0.975))
    return Change(
        feature=feature,
        before=before,
        after=after,
        interval=difference.interval,
        null=(float(low), float(high)),
        p_value=permutation_p_value(abs(difference.value), np.abs(draws)),
        groups=len(difference.pseudo_values),
    )
