"""Slopes: by how much the score changes with a unit of a feature, with intervals and permuted orientations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from heldout.seeds import numpy_generator
from heldout.statistics import mean_interval, permutation_p_value
from heldout.studies.reward.pairs import ALPHA, QUALITY, Pair, PairSet, group_means
from heldout.studies.reward.scoring import Array, Scores

DRAWS = 1999
WORTH = 0.1
"""A slope of less than this share of a unit of quality is not worth calling a finding."""

Reading = Literal["rewarded", "punished", "negligible", "undecided"]


@final
@dataclass(frozen=True)
class Slope:
    """The mean score difference for a unit of a feature, over groups of pairs, with Student's interval over them.

    `null` is the range that 95 % of random orientations of the pairs fall in, and `p_value` the share of them that is
    as far from zero. `margin` is WORTH times the slope of quality."""

    feature: str
    value: float
    interval: tuple[float, float]
    null: tuple[float, float]
    p_value: float
    margin: float
    groups: int
    pairs: int

    @property
    def reading(self) -> Reading:
        """`rewarded` or `punished`: the interval lies beyond the margin, and random orientations seldom give as much.
        `negligible`: it lies within. Else `undecided`."""
        low, high = self.interval
        if self.p_value <= ALPHA and low > self.margin:
            return "rewarded"
        if self.p_value <= ALPHA and high < -self.margin:
            return "punished"
        return "negligible" if max(-low, high) < self.margin else "undecided"

    @property
    def found(self) -> bool:
        return self.reading in ("rewarded", "punished")


def slope_per_pair(pairs: Sequence[Pair], scores: Scores) -> Array:
    return scores.differences(pairs) / np.array([pair.amount for pair in pairs])


def mean_slope(pairs: Sequence[Pair], scores: Scores) -> float:
    return float(group_means(pairs, slope_per_pair(pairs, scores)).mean())


def slopes_of(pairs: PairSet, scores: Scores, seed: int) -> tuple[Slope, ...]:
    """Quality first, then every feature, on the test pairs; p-values are corrected over features (Bonferroni)."""
    quality = slope_of(QUALITY, pairs, scores, 0.0, seed)
    margin = WORTH * abs(quality.value)
    found = [slope_of(feature, pairs, scores, margin, seed) for feature in pairs.features]
    return (quality, *found)


def slope_of(feature: str, pairs: PairSet, scores: Scores, margin: float, seed: int) -> Slope:
    own = pairs.of(feature, "test")
    means = group_means(own, slope_per_pair(own, scores))
    interval = mean_interval(means)
    assert interval is not None, "check_pairs asks for more than two groups"
    draws = permuted_means(means, seed, feature)
    tests = 1 if feature == QUALITY else len(pairs.features)
    p_value = min(1.0, tests * permutation_p_value(abs(float(means.mean())), np.abs(draws)))
    low, high = np.quantile(draws, (0.025, 0.975))
    null = (float(low), float(high))
    return Slope(feature, float(means.mean()), interval, null, p_value, margin, len(means), len(own))


def permuted_means(means: Array, seed: int, feature: str) -> Array:
    """Means of the groups with the two texts of each group's pairs exchanged at random."""
    generator = numpy_generator(seed, "orientation of pairs", feature)
    signs = generator.choice((-1.0, 1.0), (DRAWS, len(means)))
    return (signs * means).mean(axis=1)


def accuracy(pairs: Sequence[Pair], scores: Scores) -> float:
    """The share of pairs of which `more` has the higher score; ties count half."""
    differences = scores.differences(pairs)
    return float(np.mean((differences > 0) + 0.5 * (differences == 0)))
