"""What holds over several models of one recipe, where the unit is the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from scipy.optimize import brentq

from heldout.statistics import holm, mean_interval, permutation_p_value
from heldout.studies.reward.pairs import ALPHA
from heldout.studies.reward.scoring import Array
from heldout.studies.reward.slopes import WORTH, Slope, permuted_means

LEAST_P_VALUE = 1e-9
"""None below is told apart."""


@final
@dataclass(frozen=True)
class OverModels:
    """A feature's slope in units of quality's, one value for each model (None where the slope of quality was not found in
    it). The interval has two errors: Student's over models, and Student's over the groups of pairs, which the models share.

    `p_value` is the larger of two, as each may be what chance gives: of the interval, that the mean lies within WORTH; and
    that of the same groups of pairs turned round at random in all models, whose 95 % range is `null`. It is
    corrected over features (Holm)."""

    feature: str
    values: tuple[float | None, ...]
    interval: tuple[float, float] | None
    null: tuple[float, float] | None
    p_value: float

    @property
    def known(self) -> tuple[float, ...] | None:
        """None where a model has no value: the mean of the others would be of models chosen by their quality."""
        values = tuple(value for value in self.values if value is not None)
        return values if len(values) == len(self.values) else None

    @property
    def mean(self) -> float | None:
        return None if self.known is None else float(np.mean(self.known))

    @property
    def found(self) -> bool:
        if self.interval is None:
            return False
        low, high = self.interval
        return self.p_value <= ALPHA and (low > WORTH or high < -WORTH)

    def to_json(self) -> dict[str, Any]:
        told = {"in_units_of_quality": self.mean, "interval": self.interval, "null": self.null}
        return {"feature": self.feature, **told, "p_value": self.p_value, "found": self.found, "models": self.values}


def over_models(slopes: Sequence[Sequence[Slope]], seed: int) -> tuple[OverModels, ...]:
    """`slopes` are those of each model, of the same features in the same order."""
    alone = [over(same, seed) for same in zip(*slopes, strict=True)]
    corrected = holm([each.p_value for each in alone])
    return tuple(replace(each, p_value=p_value) for each, p_value in zip(alone, corrected, strict=True))


def over(slopes: Sequence[Slope], seed: int) -> OverModels:
    """Of one feature; its p-value is not corrected."""
    feature, ratios = slopes[0].feature, [slope.in_quality for slope in slopes]
    known = [ratio for ratio in ratios if ratio is not None]
    values = tuple(None if ratio is None else ratio.value for ratio in ratios)
    if len(known) < len(ratios):
        return OverModels(feature, values, None, None, 1.0)
    found = np.array([ratio.value for ratio in known])
    mean = float(found.mean())
    # What the mean would gain from each group's weight: every model was scored on the same groups.
    shared = np.mean([list(ratio.influence.values()) for ratio in known], axis=0)
    groups = [np.array(list(slope.by_group.values())) / ratio.unit for slope, ratio in zip(slopes, known, strict=True)]
    draws = permuted_means(np.mean(groups, axis=0), seed, f"{feature} over models")
    turned = permutation_p_value(abs(mean), np.abs(draws))
    low, high = np.quantile(draws, (0.025, 0.975))
    if len(found) < 2:
        return OverModels(feature, values, None, (float(low), float(high)), 1.0)
    reach = reach_of(found, shared, 0.95)
    p_value = max(turned, beyond_worth(found, shared))
    return OverModels(feature, values, (mean - reach, mean + reach), (float(low), float(high)), p_value)


def reach_of(models: Array, groups: Array, level: float) -> float:
    """How far the interval of the mean reaches: the root of the sum of squares of how far each of the two errors does."""
    return float(np.hypot(students_reach(models, level), students_reach(groups, level)))


def students_reach(values: Array, level: float) -> float:
    interval = mean_interval(values, level)
    assert interval is not None, "there are two values or more"
    return (interval[1] - interval[0]) / 2.0


def beyond_worth(models: Array, groups: Array) -> float:
    """Two-sided p-value that the mean over models lies within WORTH of 0: one less the level at which the interval reaches
    there."""
    away = abs(float(models.mean())) - WORTH

    def left(p_value: float) -> float:
        return reach_of(models, groups, 1.0 - p_value) - away

    if away <= 0.0:
        return 1.0
    if left(LEAST_P_VALUE) <= 0.0:
        return LEAST_P_VALUE
    crossing: Any = brentq(left, LEAST_P_VALUE, 1.0)  # scipy's annotation tells of a pair
    return float(crossing)
