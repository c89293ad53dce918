"""One checkpoint of a suite: what identifies it, and how to get its model."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, final

import torch

from heldout.models.model import Model

Axis = Literal["step", "size"]
"""What a suite is ordered by: steps of training, or numbers of parameters."""


class Place(Protocol):
    """Where the weights of a checkpoint are."""

    def load(self) -> Model:
        """A model of this checkpoint. Raises InputError where it cannot be had."""
        ...

    def release(self, model: Model) -> None:
        """Gives the memory of a model that `load` returned back, where this place can load it again."""
        ...

    def optimiser_state(self) -> Mapping[str, Any] | None:
        """The state that was saved beside the weights; None where there is none."""
        ...


@dataclass(frozen=True)
class Loading:
    """How the models of a suite are loaded: as `heldout.load` has these."""

    device: str | torch.device = "cpu"
    dtype: torch.dtype | None = None
    allow_remote_code: bool = False


@final
@dataclass(frozen=True)
class Checkpoint:
    """`step` is the number that orders the suite: steps of training, or on the axis of size the number of parameters.

    `digest` is the digest of the model that `load` gives; `weights` is one of its tensors alone, which is equal where
    only configs or the division into files differ. `values` holds parameters, width and depth where they are known."""

    step: int
    name: str
    digest: str
    weights: str = field(repr=False)
    place: Place = field(repr=False, compare=False)
    values: Mapping[str, int] = field(default_factory=dict[str, int], repr=False, compare=False)

    def load(self) -> Model:
        return self.place.load()

    @contextmanager
    def resident(self) -> Generator[Model]:
        """The model, whose memory is given back afterwards, whoever still refers to it. Its weights are then gone;
        models that the suite was made from stay as they are."""
        model = self.load()
        try:
            yield model
        finally:
            self.place.release(model)

    def optimiser_state(self) -> Mapping[str, Any] | None:
        """What the optimiser had stored: a state dict, or tensors by name. None where it was not saved."""
        return self.place.optimiser_state()


def empty(model: Model) -> None:
    """Drops the weights of a model and keeps their shapes."""
    model.module.to(device="meta")
