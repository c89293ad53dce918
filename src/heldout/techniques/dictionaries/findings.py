"""What a comparison by crosscoder found: the class of every latent, and what stands behind it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import final

from heldout.techniques.dictionaries.calibration import Calibration
from heldout.techniques.dictionaries.classes import CLASSES, LatentClass, Limits
from heldout.techniques.dictionaries.crosscoder import Crosscoder
from heldout.techniques.dictionaries.latents import Latents


@final
@dataclass(frozen=True, eq=False)
class CrosscoderFindings:
    """`latents` are measured on held-out rows; `crosscoder` reads further activations by `crosscoder.codes((a, b))`."""

    crosscoder: Crosscoder
    latents: Latents
    calibration: Calibration
    sparsity: str
    seed: int

    @property
    def limits(self) -> Limits:
        return self.calibration.limits

    @cached_property
    def classes(self) -> tuple[LatentClass, ...]:
        """Of each latent: see `Limits.classes`."""
        return self.limits.classes(self.latents)

    @property
    def counts(self) -> dict[LatentClass, int]:
        found = Counter(self.classes)
        return {name: found[name] for name in CLASSES}

    def of_class(self, name: LatentClass) -> tuple[int, ...]:
        """The numbers of these latents, the most active first."""
        chosen = [latent for latent, found in enumerate(self.classes) if found == name]
        return tuple(sorted(chosen, key=lambda latent: -int(self.latents.active[latent])))
