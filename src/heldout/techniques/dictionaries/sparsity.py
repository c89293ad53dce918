"""Two ways to have few latents active: choose the largest of a batch, or charge for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor

from heldout.shapes import Float


class Sparsity(Protocol):
    """`sizes` are codes times the sum of their latent's norms over the models."""

    @property
    def name(self) -> str: ...

    def gate(self, sizes: Float[Tensor, "row latent"]) -> float:
        """The size above which a latent is active, on the rows of a batch."""
        ...

    def charge(self, sizes: Float[Tensor, "row latent"], progress: float) -> Tensor:
        """What is added to the loss; `progress` is the share of training that is done."""
        ...


@final
@dataclass(frozen=True)
class BatchTopK:
    """The largest sizes of a batch are kept, `active` a row on average; nothing is charged (Bussmann et al. 2024)."""

    active: float = 6.0
    name: str = "batch_top_k"

    def gate(self, sizes: Float[Tensor, "row latent"]) -> float:
        kept = min(int(self.active * len(sizes)), sizes.numel() - 1)
        return max(float(sizes.detach().flatten().topk(kept + 1).values[-1]), 0.0)

    def charge(self, sizes: Float[Tensor, "row latent"], progress: float) -> Tensor:
        return torch.zeros(())


@final
@dataclass(frozen=True)
class L1:
    """Every size is charged for: Σ_j f_j (‖d_j of A‖ + ‖d_j of B‖), by `penalty` (Lindsey et al. 2024), which grows over the
    first tenth of training."""

    penalty: float = 0.03
    name: str = "l1"

    def gate(self, sizes: Float[Tensor, "row latent"]) -> float:
        return 0.0

    def charge(self, sizes: Float[Tensor, "row latent"], progress: float) -> Tensor:
        return self.penalty * min(1.0, 10 * progress) * sizes.sum(dim=1).mean()
