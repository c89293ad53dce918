"""What a comparison by crosscoder found: the class of every latent, and what stands behind it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, final

from heldout.techniques.dictionaries.calibration import Calibration
from heldout.techniques.dictionaries.crosscoder import Crosscoder
from heldout.techniques.dictionaries.latents import Latents

LatentClass = Literal["shared", "only A", "only B", "undecided", "dead"]
CLASSES: tuple[LatentClass, ...] = ("shared", "only A", "only B", "undecided", "dead")


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
    def classes(self) -> tuple[LatentClass, ...]:
        """Of each latent. `shared` has a part in the other model, however small, that unrelated models never show; `only A`
        and `only B` have no more there than latents of unrelated models do; `undecided` lie between, or are rarely
        active; `dead` never are."""
        return tuple(self._class(latent) for latent in range(len(self.latents)))

    @property
    def counts(self) -> dict[LatentClass, int]:
        found = Counter(self.classes)
        return {name: found[name] for name in CLASSES}

    def of_class(self, name: LatentClass) -> tuple[int, ...]:
        """The numbers of these latents, the most active first."""
        chosen = [latent for latent, found in enumerate(self.classes) if found == name]
        return tuple(sorted(chosen, key=lambda latent: -int(self.latents.active[latent])))

    def _class(self, latent: int) -> LatentClass:
        if self.latents.dead[latent]:
            return "dead"
        presence = self.latents.presence[latent]
        if not self.latents.measured[latent] or self.calibration.absent < presence <= self.calibration.present:
            return "undecided"
        if presence > self.calibration.present:
            return "shared"
        return "only B" if self.latents.larger_in_b[latent] else "only A"
