"""Two ways to have few latents active: choose the largest of a batch, or charge for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor

from heldout.shapes import Float


class Sparsity(Protocol):
    """`sizes` [run, row, latent] are codes times the sum of their latent's norms over the models."""

    @property
    def name(self) -> str: ...

    def gates(self, sizes: Float[Tensor, "run row latent"]) -> Float[Tensor, " run"]:
        """The size above which a latent is active, on the rows of a batch."""
        ...

    def charge(self, sizes: Float[Tensor, "run row latent"], progress: float) -> Tensor:
        """What is added to the loss, summed over runs; `progress` is the share of training that is done."""
        ...


@final
@dataclass(frozen=True)
class BatchTopK:
    """The largest sizes of a batch are kept, `active` a row on average; nothing is charged (Bussmann et al. 2024)."""

    active: float = 4.0
    name: str = "batch_top_k"

    def gates(self, sizes: Float[Tensor, "run row latent"]) -> Float[Tensor, " run"]:
        together = sizes.flatten(1)
        kept = min(int(self.active * sizes.shape[1]), together.shape[1] - 1)
        return together.topk(kept + 1, dim=1).values[:, -1].clamp(min=0.0)

    def charge(self, sizes: Float[Tensor, "run row latent"], progress: float) -> Tensor:
        return torch.zeros(())


@final
@dataclass(frozen=True)
class L1:
    """Every size is charged for: Σ_j f_j (‖d_j of A‖ + ‖d_j of B‖), by `penalty` (Lindsey et al. 2024), which grows over the
    first tenth of training."""

    penalty: float = 0.1
    name: str = "l1"

    def gates(self, sizes: Float[Tensor, "run row latent"]) -> Float[Tensor, " run"]:
        return torch.zeros(len(sizes))

    def charge(self, sizes: Float[Tensor, "run row latent"], progress: float) -> Tensor:
        return self.penalty * min(1.0, 10 * progress) * sizes.sum(dim=2).mean(dim=1).sum()
