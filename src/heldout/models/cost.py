"""What parts of a forward pass cost, from the model's shape: multiply-adds, and their share of a whole pass.

A whole pass is one prompt of a given length through every layer, with logits at every position.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from heldout.models.model import Model


@dataclass(frozen=True)
class PassCost:
    """Multiply-adds of the parts of one prompt's forward pass.

    In a mixture of experts the MLP is counted with as many experts as a token is sent to."""

    d_model: int
    d_mlp: int
    mlp_matrices: int
    query_width: int
    key_value_width: int
    n_layers: int
    vocabulary_size: int
    length: int

    @classmethod
    def of(cls, model: Model, length: int) -> PassCost:
        size, config = model.dimensions, model.module.config
        experts = getattr(config, "num_experts_per_tok", None) or 1
        return cls(
            d_model=size.d_model,
            d_mlp=(size.d_mlp or 0) * experts,
            mlp_matrices=3 if model.architecture.gated_mlp else 2,
            query_width=size.n_heads * size.d_head,
            key_value_width=2 * size.n_key_value_heads * size.d_head,
            n_layers=size.n_layers,
            vocabulary_size=model.n_outputs,
            length=length,
        )

    def keys_and_values(self, positions: int) -> int:
        return positions * self.d_model * self.key_value_width

    def attention(self, queries: int) -> int:
        """Attention over the whole length for `queries` positions, projections included."""
        core = 2 * queries * self.length * self.query_width
        return self.keys_and_values(queries) + core + 2 * queries * self.query_width * self.d_model

    def mlp(self, positions: int) -> int:
        return positions * self.mlp_matrices * self.d_model * self.d_mlp

    def unembedding(self, tokens: int) -> int:
        """Logits of `tokens` pairs of position and token."""
        return tokens * self.d_model

    @cached_property
    def whole(self) -> int:
        """The whole pass, with logits at every position."""
        layers = self.n_layers * (self.attention(self.length) + self.mlp(self.length))
        return layers + self.unembedding(self.length * self.vocabulary_size)

    def share(self, multiply_adds: float) -> float:
        """As a number of forward passes."""
        return multiply_adds / self.whole
