"""What latent scaling reads where nothing is shared, and where everything is: from there come the limits of the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from heldout.techniques.dictionaries.latents import Latents

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class NullRuns:
    """How many crosscoders are trained on data of which it is known what is shared.

    `unrelated` ones: the rows of B are in a random order, so that no latent of one model can have a part in the other.
    `identical` ones: a model beside itself, in turns A and B, so that no latent can be exclusive.
    `level` is the share of the latents of unrelated runs that are called exclusive."""

    unrelated: int = 2
    identical: int = 2
    level: float = 0.95


@final
@dataclass(frozen=True, eq=False)
class Calibration:
    """`absent` is the presence up to which a latent is exclusive: what `level` of the latents of unrelated runs stay below.
    `present` is the presence above which it is shared: the most that any latent of an unrelated run reaches.

    `presence_unrelated` and `presence_identical` are those of all live latents of each run."""

    absent: float
    present: float
    presence_unrelated: tuple[Array, ...]
    presence_identical: tuple[Array, ...]

    @classmethod
    def of(cls, unrelated: tuple[Latents, ...], identical: tuple[Latents, ...], level: float) -> Self:
        """An identical run in which a latent lies lower than in the unrelated ones lowers `absent` to it."""
        apart = tuple(latents.presence[latents.measured] for latents in unrelated)
        alike = tuple(latents.presence[latents.measured] for latents in identical)
        everywhere = np.concatenate(apart)
        absent = float(np.quantile(everywhere, level)) if len(everywhere) else 0.0
        return cls(absent, float(everywhere.max(initial=absent)), apart, alike)

    @property
    def exclusive_in_identical(self) -> tuple[int, ...]:
        """How many latents of each identical run would be called exclusive."""
        return tuple(int((presence <= self.absent).sum()) for presence in self.presence_identical)
