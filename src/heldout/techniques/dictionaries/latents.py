"""The latents of a crosscoder on rows that it was not trained on: how often active, how large, how much in each model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from heldout.techniques.dictionaries.crosscoder import Crosscoder
from heldout.techniques.dictionaries.latent_scaling import LatentScaling

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_ACTIVE = 20
"""Rows that a latent must be active in for its ratios to say anything."""


@final
@dataclass(frozen=True, eq=False)
class Latents:
    """All arrays are by latent. `norms` [model, latent] are of the decoders, in units in which each model's activations
    have a mean squared norm of one; `active` counts rows."""

    norms: Array
    active: NDArray[np.intp]
    rows: int
    explained: tuple[float, ...]
    scaling: LatentScaling

    @classmethod
    def of(cls, crosscoder: Crosscoder, activations: Sequence[Any]) -> Self:
        codes = crosscoder.codes(activations)
        return cls(
            norms=crosscoder.norms.double().numpy(),
            active=(codes > 0).sum(dim=0).numpy(),
            rows=len(codes),
            explained=crosscoder.explained(activations),
            scaling=LatentScaling.of(crosscoder, activations),
        )

    def __len__(self) -> int:
        return len(self.active)

    @property
    def presence(self) -> Array:
        """How much of a latent there is in the model that has less of it: see `LatentScaling`."""
        return self.scaling.presence

    @property
    def dead(self) -> Mask:
        """Never active."""
        return self.active == 0

    @property
    def measured(self) -> Mask:
        return self.active >= LEAST_ACTIVE

    @property
    def larger_in_b(self) -> Mask:
        return self.norms[1] > self.norms[0]

    @property
    def relative_norms(self) -> Array:
        """½ (1 + (‖B‖ − ‖A‖) / max): 0 for a decoder in A alone, ½ for equal ones, 1 for one in B alone; nan if dead."""
        a, b = self.norms
        largest = np.maximum(a, b)
        return np.where(self.dead, np.nan, 0.5 * (1 + (b - a) / np.where(largest > 0, largest, 1.0)))

    @property
    def codes_a_row(self) -> float:
        return float(self.active.sum() / self.rows)
