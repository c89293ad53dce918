"""From ratios to classes: shared, in one model alone, or not to be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from heldout.techniques.dictionaries.latent_scaling import ONE_SIDED
from heldout.techniques.dictionaries.latents import Latents

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LatentClass = Literal["shared", "only A", "only B", "undecided", "dead"]
CLASSES: tuple[LatentClass, ...] = ("shared", "only A", "only B", "undecided", "dead")


@final
@dataclass(frozen=True, eq=False)
class Limits:
    """By ratio, in the order of `LatentScaling.ratios`: `absent` is the most that a latent may show of itself in the model
    in which it is smaller and still be exclusive; above `present` in any it is shared. Between them lies at least what
    one-sided norms mean: `absent` is never above a fifth, `present` never below."""

    absent: Array
    present: Array

    @classmethod
    def of_unrelated(cls, runs: tuple[Latents, ...], level: float) -> Self:
        """From latents that cannot be shared, of which `level` are to stay below every `absent`; `present` is the most that
        any of them shows. Only one-sided latents are taken: others in such a run stand for two things at once. Where
        there are none, nothing is exclusive and nothing shared."""
        chosen = [run.scaling.ratios[:, run.measured & run.scaling.one_sided] for run in runs]
        shown = np.concatenate(chosen, axis=1)
        shown = shown[:, np.isfinite(shown).all(axis=0)]
        if not shown.size:
            return cls(np.zeros(len(shown)), np.full(len(shown), np.inf))
        each = 1 - (1 - level) / len(shown)
        absent = np.clip(np.quantile(shown, each, axis=1), 0.0, ONE_SIDED)
        return cls(absent, np.maximum(shown.max(axis=1), ONE_SIDED))

    def classes(self, latents: Latents) -> tuple[LatentClass, ...]:
        """`only A` and `only B` are one-sided by their norms, and show no more of themselves in the other model than
        latents of unrelated models do; `shared` ones show more than any of those, and a fifth of what they are in the other
        at least; the rest, and those that are rarely active, are `undecided`; `dead` ones are never active."""
        ratios, scaling = latents.scaling.ratios, latents.scaling
        exclusive = scaling.one_sided & (ratios <= self.absent[:, None]).all(axis=0)
        shared = (ratios > self.present[:, None]).any(axis=0)
        found = np.where(shared, "shared", "undecided").astype(object)
        found[exclusive & ~latents.larger_in_b] = "only A"
        found[exclusive & latents.larger_in_b] = "only B"
        found[~latents.measured] = "undecided"
        found[latents.dead] = "dead"
        return tuple(found)

    def exclusive(self, latents: Latents) -> int:
        return sum(name in {"only A", "only B"} for name in self.classes(latents))
