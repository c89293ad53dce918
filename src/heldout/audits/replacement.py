"""How often a removal replaces an answer by another one that the grader would accept, and how often chance does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heldout.audits.prompts import Answers, Flags, Prompts
from heldout.seeds import numpy_generator
from heldout.statistics import above_chance, permutation_p_value


@dataclass(frozen=True, eq=False)
class Replacement:
    """`rate` is the share of items whose answer changed into another acceptable one, less what chance explains:
    share changed × (acceptable among the changed, with chance at 0 and perfection at 1)."""

    changed: Flags
    acceptable: Flags
    chance: float
    p_value: float | None

    @property
    def changed_share(self) -> float:
        return float(self.changed.mean())

    @property
    def acceptable_share(self) -> float:
        """Acceptable among the changed."""
        return float(self.acceptable[self.changed].mean()) if self.changed.any() else 0.0

    @property
    def rate(self) -> float:
        return self.changed_share * above_chance(self.acceptable_share, self.chance)

    @property
    def successes(self) -> int:
        """Items changed into another acceptable answer, before chance is taken off."""
        return int((self.changed & self.acceptable).sum())


def replacement(
    prompts: Prompts, before: Answers, after: Answers, *, permutations: int = 0, seed: int = 0
) -> Replacement:
    """Chance (an exact mean) and p-value (permutations) give the changed items' new answers to each other's graders."""
    changed = np.asarray(after != before)
    acceptable = prompts.accepts(after)
    rows = np.flatnonzero(changed)
    if len(rows) < 2:
        return Replacement(changed, acceptable, 1.0, 1.0 if permutations else None)
    cross = prompts.chosen(rows).cross_accepts(after[rows])
    chance = float(cross.mean())
    p_value = None
    if permutations:
        p_value = permutation_p_value(float(np.trace(cross)), permuted_traces(cross, permutations, seed))
    return Replacement(changed, acceptable, chance, p_value)


def permuted_traces(cross: Flags, permutations: int, seed: int) -> NDArray[np.float64]:
    generator = numpy_generator(seed, "graders permuted", len(cross))
    rows = np.arange(len(cross))
    return np.array(
        [cross[rows, generator.permutation(len(cross))].sum() for _ in range(permutations)], dtype=np.float64
    )
