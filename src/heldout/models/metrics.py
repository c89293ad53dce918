"""What a model's output is reduced to, a number a prompt: weighted logits of chosen tokens, or any function of logits.

The first form says which positions and tokens it reads, so that nothing else need be computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from heldout.errors import Problems
from heldout.models.model import Model, at_least_float32
from heldout.shapes import Float, Int


@final
@dataclass(frozen=True, eq=False)
class TokenLogits:
    """Σ_k weights[b, k] · logit(tokens[b, k]) at `position`, in logits.

    `tokens` and `weights` are batch × k, or one row for all prompts. Raises InputError where their shapes differ."""

    tokens: Int[Tensor, "batch k"]
    weights: Float[Tensor, "batch k"]
    position: int = -1

    def __post_init__(self) -> None:
        if self.tokens.ndim != 2 or self.tokens.shape != self.weights.shape:
            problems = Problems("TokenLogits")
            problems.add(
                f"tokens of shape {tuple(self.tokens.shape)} and weights of shape {tuple(self.weights.shape)}",
                "two tensors of the same shape, batch × k",
                "give each token id its weight",
            )
            problems.raise_if_any()

    @classmethod
    def difference(
        cls, right: Int[Tensor, " batch"], wrong: Int[Tensor, " batch"], *, position: int = -1
    ) -> TokenLogits:
        """logit(right) − logit(wrong), the metric that arXiv 2309.16042 recommends for patching."""
        tokens = torch.stack([right, wrong], dim=1)
        return cls(tokens, torch.tensor([1.0, -1.0]).to(tokens.device).expand(len(tokens), 2), position)

    @property
    def positions(self) -> tuple[int, ...]:
        return (self.position,)

    def negated(self) -> TokenLogits:
        """The same with the other sign."""
        return TokenLogits(self.tokens, -self.weights, self.position)

    def logits_read(self, model: Model) -> int:
        """How many logits of a prompt it reads at each position."""
        return self.tokens.shape[1]

    def values(
        self, model: Model, residual: Float[Tensor, "copies batch position d_model"]
    ) -> Float[Tensor, "copies batch"]:
        """The metric of streams after the last layer at `positions`, for copies of the batch."""
        logits = model.unembed_tokens(residual[:, :, 0], self.tokens.to(residual.device))
        return (logits * self.weights.to(logits)).sum(dim=-1)

    def of_logits(self, logits: Float[Tensor, "batch position vocabulary"]) -> Float[Tensor, " batch"]:
        """The metric of logits at `positions`."""
        tokens = self.tokens.to(logits.device).expand(len(logits), -1)
        chosen = at_least_float32(logits[:, 0].gather(1, tokens))
        return (chosen * self.weights.to(chosen)).sum(dim=1)


@final
@dataclass(frozen=True, eq=False)
class LogitsFunction:
    """Any function of the logits at `positions`, [batch, position, vocabulary] → [batch]: the whole unembedding is
    computed there. In a sweep the function is called once for each copy of the batch."""

    function: Callable[[Float[Tensor, "batch position vocabulary"]], Float[Tensor, " batch"]]
    positions: tuple[int, ...] = (-1,)

    def logits_read(self, model: Model) -> int:
        """How many logits of a prompt it reads at each position: all of them."""
        return model.n_outputs

    def values(
        self, model: Model, residual: Float[Tensor, "copies batch position d_model"]
    ) -> Float[Tensor, "copies batch"]:
        """The metric of streams after the last layer at `positions`, for copies of the batch."""
        return torch.stack([self.of_logits(model.unembed(copy)) for copy in residual])

    def of_logits(self, logits: Float[Tensor, "batch position vocabulary"]) -> Float[Tensor, " batch"]:
        """The metric of logits at `positions`. Raises InputError where the function gives another shape."""
        values = self.function(logits)
        if values.shape != logits.shape[:1]:
            problems = Problems("LogitsFunction")
            problems.add(
                f"values of shape {tuple(values.shape)} for logits of shape {tuple(logits.shape)}",
                f"one value a prompt, shape ({len(logits)},)",
                "reduce positions and vocabulary, and leave the batch axis",
            )
            problems.raise_if_any()
        return values


Metric = TokenLogits | LogitsFunction
