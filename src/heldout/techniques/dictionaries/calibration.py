"""Crosscoders of data of which it is known what is shared: from there come the limits of the classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

from heldout.techniques.dictionaries.classes import Limits
from heldout.techniques.dictionaries.latents import Latents


@final
@dataclass(frozen=True)
class NullRuns:
    """How many crosscoders are trained on data of which it is known what is shared.

    `unrelated` ones: the rows of B are in a random order, so that no latent of one model has a part in the other. They
    set the limits, so that `level` of their one-sided latents are called exclusive.
    `identical` ones: a model beside itself, in turns A and B, so that no latent is exclusive. They are only counted."""

    unrelated: int = 2
    identical: int = 2
    level: float = 0.95


@final
@dataclass(frozen=True, eq=False)
class Calibration:
    """The latents of the null runs, and what follows from them."""

    unrelated: tuple[Latents, ...]
    identical: tuple[Latents, ...]
    level: float

    @cached_property
    def limits(self) -> Limits:
        return Limits.of_unrelated(self.unrelated, self.level)

    @property
    def exclusive_in_identical(self) -> tuple[int, ...]:
        """How many latents of each run of a model beside itself are called exclusive."""
        return tuple(self.limits.exclusive(latents) for latents in self.identical)
