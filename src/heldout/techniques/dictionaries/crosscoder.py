"""A trained crosscoder: one sparse code a row, and for each model the directions that the code's latents have in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from heldout.shapes import Float
from heldout.techniques.dictionaries.side import Side


@final
@dataclass(frozen=True, eq=False)
class Crosscoder:
    """f(x) = ReLU(Σ_m W_m x_m + b), and x̂_m = f D_m + c_m for each model m (Lindsey et al. 2024).

    With one side it is a sparse autoencoder. A latent counts as active where its code times the sum of its norms is
    above `gate`: the threshold that stands in for the choice within a batch (Minder et al. 2025, section 2)."""

    sides: tuple[Side, ...]
    bias: Float[Tensor, " latent"]
    gate: float = 0.0

    def __len__(self) -> int:
        return len(self.bias)

    @property
    def norms(self) -> Float[Tensor, "side latent"]:
        return torch.stack([side.norms for side in self.sides])

    def standardised(self, activations: Sequence[Any]) -> tuple[Float[Tensor, "row feature"], ...]:
        """Each model's activations [row, feature] in the units in which it is reconstructed."""
        return tuple(side.standard(values) for side, values in zip(self.sides, activations, strict=True))

    def codes(self, activations: Sequence[Any]) -> Float[Tensor, "row latent"]:
        """Of activations [row, feature] of each model, row i of all of them for the same token."""
        sides = zip(self.standardised(activations), self.sides, strict=True)
        codes = torch.relu(sum((x @ side.encoder.T for x, side in sides), self.bias))
        return codes * (codes * self.norms.sum(dim=0) > self.gate)

    def reconstructions(self, codes: Float[Tensor, "row latent"]) -> tuple[Float[Tensor, "row feature"], ...]:
        """In standard units, one for each model."""
        return tuple(side.reconstruction(codes) for side in self.sides)

    def explained(self, activations: Sequence[Any]) -> tuple[float, ...]:
        """The share of each model's variance that is reconstructed."""
        guesses = self.reconstructions(self.codes(activations))
        pairs = zip(self.standardised(activations), guesses, strict=True)
        return tuple(float(1 - (x - guess).square().sum() / (x - x.mean(0)).square().sum()) for x, guess in pairs)
