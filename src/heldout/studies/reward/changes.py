"""Two reward models on the same pairs: whose slopes changed, and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from heldout.statistics import mean_interval, permutation_p_value
from heldout.studies.reward.pairs import ALPHA, QUALITY, PairSet, group_means
from heldout.studies.reward.scoring import Scores
from heldout.studies.reward.slopes import WORTH, mean_slope, permuted_means, slope_per_pair


@final
@dataclass(frozen=True)
class Change:
    """Of a feature's slope, each in units of its own model's slope of quality (of quality itself: in units of the score).
    The interval is Student's over groups of test pairs, the p-value from random signs of the groups' changes, corrected
    over features (Bonferroni)."""

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


def changes_between(pairs: PairSet, before: Scores, after: Scores, seed: int) -> tuple[Change, ...]:
    """Quality first, then every feature."""
    return tuple(change_of(feature, pairs, before, after, seed) for feature in (QUALITY, *pairs.features))


def change_of(feature: str, pairs: PairSet, before: Scores, after: Scores, seed: int) -> Change:
    own, quality = pairs.of(feature, "test"), pairs.of(QUALITY, "test")
    means = [
        group_means(own, slope_per_pair(own, scores))
        / (1.0 if feature == QUALITY else abs(mean_slope(quality, scores)))
        for scores in (before, after)
    ]
    differences = means[1] - means[0]
    interval = mean_interval(differences)
    assert interval is not None, "check_pairs asks for more than two groups"
    draws = permuted_means(differences, seed, f"{feature} before and after")
    p_value = permutation_p_value(abs(float(differences.mean())), np.abs(draws))
    tests = 1 + len(pairs.features)
    low, high = np.quantile(draws, (0.025, 0.975))
    return Change(
        feature=feature,
        before=float(means[0].mean()),
        after=float(means[1].mean()),
        interval=interval,
        null=(float(low), float(high)),
        p_value=min(1.0, tests * p_value),
        groups=len(differences),
    )
