"""A slope in units of another slope, with the error of both, and how far two such ratios lie apart.

Source: Fieller 1954 for the ratio of two means, whose interval is unbounded where the lower one may be zero; Zou and
Donner 2008 for the interval of a difference from those of its terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy import stats

from heldout.studies.reward.scoring import Array

ByGroup = Mapping[str, float]
"""The slope of each group of pairs; groups of the same name are the same prompt or template."""


@final
@dataclass(frozen=True)
class Ratio:
    """`unit` is the size of what the value is told in. `influence[group]` is by how much the value would change, times their
    number, if that group weighed more; they sum to 0."""

    value: float
    interval: tuple[float, float]
    unit: float
    influence: ByGroup

    def to_json(self) -> dict[str, object]:
        return {"value": self.value, "interval": list(self.interval), "unit": self.unit}


def ratio_of(own: ByGroup, unit: ByGroup, level: float = 0.95) -> Ratio | None:
    """The mean of `own` over the size of the mean of `unit`, with Fieller's interval. None where the interval of `unit`
    reaches 0: then no bound can be given."""
    a, b = (np.array(list(each.values()), dtype=np.float64) for each in (own, unit))
    sign = float(np.sign(b.mean()))
    top, bottom, covariance = float(a.mean()), abs(float(b.mean())), sign * covariance_of_means(own, unit)
    t = float(stats.t.ppf((1.0 + level) / 2.0, min(len(a), len(b)) - 1))
    top_error, bottom_error = (t * t * float(each.var(ddof=1)) / len(each) for each in (a, b))
    curvature = bottom**2 - bottom_error
    if not curvature > 0.0:
        return None
    middle = top * bottom - t * t * covariance
    reach = max(0.0, middle**2 - curvature * (top**2 - top_error)) ** 0.5
    interval = ((middle - reach) / curvature, (middle + reach) / curvature)
    return Ratio(top / bottom, interval, bottom, influence_of(own, unit))


def covariance_of_means(own: ByGroup, unit: ByGroup) -> float:
    """Through the groups that both have; at most as large as the variances allow."""
    shared = [group for group in own if group in unit]
    if len(shared) < 2:
        return 0.0
    a, b = (np.array([each[group] for group in shared]) for each in (own, unit))
    found = float(np.cov(a, b)[0, 1]) * len(shared) / (len(own) * len(unit))
    most = [float(np.var(list(each.values()), ddof=1)) / len(each) for each in (own, unit)]
    bound = (most[0] * most[1]) ** 0.5
    return min(bound, max(-bound, found))


def influence_of(own: ByGroup, unit: ByGroup) -> ByGroup:
    groups = list(dict.fromkeys((*own, *unit)))
    top, bottom = (float(np.mean(list(each.values()))) for each in (own, unit))
    found = {
        group: (own.get(group, top) - top) / len(own) - top / bottom * (unit.get(group, bottom) - bottom) / len(unit)
        for group in groups
    }
    return {group: len(groups) * each / abs(bottom) for group, each in found.items()}


@final
@dataclass(frozen=True)
class Difference:
    """Of two ratios on the same groups: the later less the earlier. `pseudo_values` have it as their mean and vary as it
    does, one for each group."""

    value: float
    interval: tuple[float, float]
    pseudo_values: Array


def difference_of(earlier: Ratio, later: Ratio) -> Difference:
    """Assumes that both were measured on pairs of the same groups."""
    first, second = (np.array([each.influence[group] for group in earlier.influence]) for each in (earlier, later))
    value = later.value - earlier.value
    (low_1, high_1), (low_2, high_2) = earlier.interval, later.interval
    shared = correlation(first, second)
    low = joint(later.value - low_2, high_1 - earlier.value, shared)
    high = joint(high_2 - later.value, earlier.value - low_1, shared)
    return Difference(value, (value - low, value + high), value + second - first)


def joint(one: float, other: float, shared: float) -> float:
    """How far a difference reaches whose terms reach so far."""
    return max(0.0, one**2 + other**2 - 2.0 * shared * one * other) ** 0.5


def correlation(first: Array, second: Array) -> float:
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / size if size else 0.0
