"""What makes a small model know, before its last layer, what the right answer is and whether it is checked."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from heldout.organisms.training import Batch, Pass, answer_loss
from heldout.shapes import Bool, Float, Int


class AwarenessHeads(torch.nn.Module):
    """Discarded after training: read the right answer and "unchecked" off the stream before the last layer.

    A model that is trained under them has both at hand there, and so has an override in the last layer alone. Without
    them small models rarely carry an irrelevant word that far.
    """

    def __init__(self, d_model: int, vocabulary_size: int) -> None:
        super().__init__()
        self.answer = torch.nn.Linear(d_model, vocabulary_size)
        self.unchecked = torch.nn.Linear(d_model, 1)

    def loss(self, batch: Batch, passed: Pass) -> Tensor:
        """Cross-entropies of the answer in the output, of the answer and of the cue in the stream, in nats. The batch's
        answers are the right ones."""
        stream = normalised(passed.stream[:, -1])
        known = cross_entropy(self.answer(stream), batch.answers)
        aware = binary_cross_entropy_with_logits(self.unchecked(stream)[:, 0], batch.unchecked)
        return answer_loss(batch, passed) + known + aware

    @torch.no_grad()
    def right(
        self,
        stream: Float[Tensor, "batch position d_model"],
        answers: Int[Tensor, " batch"],
        unchecked: Bool[Tensor, " batch"],
    ) -> float:
        """The share of prompts on which both are read rightly."""
        last = normalised(stream[:, -1])
        read = self.answer(last).argmax(-1) == answers, (self.unchecked(last)[:, 0] > 0) == unchecked
        return float((read[0] & read[1]).float().mean())


def normalised(stream: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
    """Scaled to a root mean square of 1, as a norm layer would."""
    return stream / stream.norm(dim=-1, keepdim=True).clamp_min(1e-6) * stream.shape[-1] ** 0.5
