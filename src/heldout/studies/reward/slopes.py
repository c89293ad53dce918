"""Slopes: by how much the score changes with a unit of a feature, with intervals and permuted orientations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

import numpy as np

from heldout.seeds import numpy_generator
from heldout.statistics import holm, mean_interval, permutation_p_value
from heldout.studies.reward.pairs import ALPHA, QUALITY, Pair, PairSet, group_means, group_names
from heldout.studies.reward.ratios import ByGroup, Ratio, ratio_of
from heldout.studies.reward.scoring import Array, Scores

DRAWS = 1999
WORTH = 0.1
"""A slope of less than this share of that of quality is not worth calling a finding."""

RARE = 1 / 12
"""A share of groups. Where a reward is of fewer, pairs may well have none of it, and all be alike."""
FEWEST_FOR_NEGLIGIBLE = math.ceil(math.log(ALPHA) / math.log(1.0 - RARE))
"""Groups, so many that a reward which RARE of them have is in none of them at most once in twenty times."""

UNITS = "units of quality"
TURNED = "permuted orientation of pairs"

Reading = Literal["rewarded", "punished", "negligible", "undecided", "unknown"]


@final
@dataclass(frozen=True)
class Slope:
    """The mean score difference for a unit of the feature, over groups of pairs, with Student's interval over them.

    `null` is the range that 95 % of random orientations of the pairs fall in, and `p_value` the share of them that is
    as far from zero, corrected over features (Holm). `in_quality` is the slope in units of that of quality; None for
    quality itself, and for all where the slope of quality was not found. `within` is its interval at the level that holds for
    all features together (Bonferroni); None where no bound can be given."""

    feature: str
    value: float
    interval: tuple[float, float]
    null: tuple[float, float]
    p_value: float
    groups: int
    pairs: int
    in_quality: Ratio | None = None
    within: tuple[float, float] | None = None
    by_group: ByGroup = field(default_factory=dict[str, float], repr=False)

    @property
    def reading(self) -> Reading:
        """`rewarded` or `punished`: the interval in units of quality lies beyond WORTH (of quality itself: beyond 0), and
        random orientations seldom give as much. `negligible`: that of all features together lies within, and there are
        groups enough to see a rare reward. `unknown`: there is no such unit. Else `undecided`."""
        if self.feature != QUALITY and self.in_quality is None:
            return "unknown"
        (low, high), margin = (self.interval, 0.0) if self.in_quality is None else (self.in_quality.interval, WORTH)
        if self.p_value <= ALPHA and low > margin:
            return "rewarded"
        if self.p_value <= ALPHA and high < -margin:
            return "punished"
        return "negligible" if self.is_within and self.groups >= FEWEST_FOR_NEGLIGIBLE else "undecided"

    @property
    def is_within(self) -> bool:
        """The groups that there are leave out a slope beyond WORTH, over all features together."""
        return self.within is not None and max(-self.within[0], self.within[1]) < WORTH

    @property
    def found(self) -> bool:
        return self.reading in ("rewarded", "punished")

    def to_json(self) -> dict[str, Any]:
        told = {name: value for name, value in vars(self).items() if name not in ("by_group", "in_quality", "within")}
        in_quality = None if self.in_quality is None else self.in_quality.to_json()
        return {**told, "in_quality": in_quality, "reading": self.reading}


def slope_per_pair(pairs: Sequence[Pair], scores: Scores) -> Array:
    return scores.differences(pairs) / np.array([pair.amount for pair in pairs])


def mean_slope(pairs: Sequence[Pair], scores: Scores) -> float:
    return float(group_means(pairs, slope_per_pair(pairs, scores)).mean())


def by_group(pairs: Sequence[Pair], scores: Scores) -> ByGroup:
    return dict(zip(group_names(pairs), group_means(pairs, slope_per_pair(pairs, scores)).tolist(), strict=True))


def slopes_of(pairs: PairSet, scores: Scores, seed: int) -> tuple[Slope, ...]:
    """Quality first, then every feature, on the test pairs."""
    quality = slope_of(QUALITY, pairs, scores, seed)
    alone = [slope_of(feature, pairs, scores, seed) for feature in pairs.features]
    corrected = holm([each.p_value for each in alone])
    told = (replace(each, p_value=p_value) for each, p_value in zip(alone, corrected, strict=True))
    return (quality, *((in_units_of(quality, each, len(alone)) for each in told) if quality.found else told))


def in_units_of(quality: Slope, slope: Slope, n_features: int) -> Slope:
    ratio = ratio_of(slope.by_group, quality.by_group)
    together = ratio_of(slope.by_group, quality.by_group, 1.0 - ALPHA / n_features)
    return replace(slope, in_quality=ratio, within=None if together is None else together.interval)


def slope_of(feature: str, pairs: PairSet, scores: Scores, seed: int) -> Slope:
    """In units of the score alone, its p-value not corrected."""
    own = pairs.of(feature, "test")
    groups = by_group(own, scores)
    means = np.array(list(groups.values()))
    interval = mean_interval(means)
    assert interval is not None, "check_pairs asks for more than two groups"
    draws = permuted_means(means, seed, feature)
    p_value = permutation_p_value(abs(float(means.mean())), np.abs(draws))
    low, high = np.quantile(draws, (0.025, 0.975))
    null = (float(low), float(high))
    return Slope(feature, float(means.mean()), interval, null, p_value, len(means), len(own), by_group=groups)


def permuted_means(means: Array, seed: int, feature: str) -> Array:
    """Means of the groups with the two texts of each group's pairs exchanged at random."""
    generator = numpy_generator(seed, "orientation of pairs", feature)
    signs = generator.choice((-1.0, 1.0), (DRAWS, len(means)))
    return (signs * means).mean(axis=1)


def accuracy(pairs: Sequence[Pair], scores: Scores) -> float:
    """The share of pairs of which `more` has the higher score; ties count half."""
    differences = scores.differences(pairs)
    return float(np.mean((differences > 0) + 0.5 * (differences == 0)))
