"""One model's part of a dictionary: how its activations are brought to size, and the latents' directions in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, final

import torch
from torch import Tensor

from heldout.shapes import Float


@final
@dataclass(frozen=True, eq=False)
class Standard:
    """Activations centred on their mean and divided by their root mean square norm: every model counts alike in the loss,
    and norms of directions can be compared between models of any width."""

    centre: Float[Tensor, " feature"]
    size: float

    @classmethod
    def of(cls, activations: Any) -> Self:
        values = rows_of(activations)
        centre = values.mean(dim=0)
        return cls(centre, float((values - centre).square().sum(dim=1).mean().sqrt()))

    def __call__(self, activations: Any) -> Float[Tensor, "row feature"]:
        return (rows_of(activations) - self.centre) / self.size


@final
@dataclass(frozen=True, eq=False)
class Side:
    """What the latents read of one model and write into it. `decoder` and `bias` are in standard units."""

    standard: Standard
    encoder: Float[Tensor, "latent feature"]
    decoder: Float[Tensor, "latent feature"]
    bias: Float[Tensor, " feature"]

    @property
    def norms(self) -> Float[Tensor, " latent"]:
        """How large each latent is in this model."""
        return self.decoder.norm(dim=1)

    def reconstruction(self, codes: Float[Tensor, "row latent"]) -> Float[Tensor, "row feature"]:
        return codes @ self.decoder + self.bias


def rows_of(activations: Any) -> Float[Tensor, "row feature"]:
    return torch.as_tensor(activations, dtype=torch.float32, device="cpu")
