"""What best-of-n gains where the score knows nothing of a feature: scores shuffled among the candidates of each prompt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from heldout.seeds import numpy_generator
from heldout.statistics import holm, permutation_p_value
from heldout.studies.reward.best_of_n import Candidates, chances_of_being_best
from heldout.studies.reward.pairs import QUALITY
from heldout.studies.reward.scoring import Array, Scores
from heldout.studies.reward.slopes import DRAWS


@final
@dataclass(frozen=True)
class Shuffled:
    """Of one feature in the best of `n`: the largest gain of a shuffle, in standard deviations of the candidates, and the
    share of shuffles that gain or lose as much as the score does, corrected over all features (Holm)."""

    name: str
    n: int
    largest: float
    p_value: float


def shuffled_gains(candidates: Candidates, scores: Scores, seed: int) -> tuple[Shuffled, ...]:
    """Of every feature but quality, at the largest n."""
    n = max(candidates.ns)
    chances = chances_of_being_best(np.array([scores.of(texts) for texts in candidates.texts]), n)
    names = [name for name in candidates.amounts if name != QUALITY]
    alone = [shuffled(name, n, candidates.amounts[name], chances, seed) for name in names]
    corrected = holm([each.p_value for each in alone])
    return tuple(replace(each, p_value=p_value) for each, p_value in zip(alone, corrected, strict=True))


def shuffled(name: str, n: int, amounts: Array, chances: Array, seed: int) -> Shuffled:
    """`amounts` and `chances` are prompt × candidate; the p-value is not corrected."""
    generator = numpy_generator(seed, "scores shuffled", name)
    spread = float(amounts.std(axis=1).mean()) or 1.0
    away = (amounts - amounts.mean(axis=1, keepdims=True)) / spread

    def gain(own: Array) -> float:
        return float((chances * own).sum(axis=1).mean())

    draws = np.abs([gain(generator.permuted(away, axis=1)) for _ in range(DRAWS)])
    return Shuffled(name, n, float(draws.max()), permutation_p_value(abs(gain(away)), draws))
