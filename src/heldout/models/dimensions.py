"""The numbers that describe a transformer's shape, read from its config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from heldout.models.sites import HEAD_SITES, Site


@dataclass(frozen=True)
class Dimensions:
    """Sizes of a model's axes; `d_mlp` is None where there is no MLP."""

    n_layers: int
    n_heads: int
    n_key_value_heads: int
    d_model: int
    d_head: int
    d_mlp: int | None
    vocabulary_size: int
    context_length: int

    @classmethod
    def from_config(cls, config: Any, *, mlp_width: str) -> Dimensions:
        """Reads a Hugging Face config, whose entry `mlp_width` is d_mlp, or empty where that is 4 · d_model.

        The attribute maps of configs give families with other names (GPT-2) the common ones."""
        d_model, n_heads = config.hidden_size, config.num_attention_heads
        return cls(
            n_layers=config.num_hidden_layers,
            n_heads=n_heads,
            n_key_value_heads=getattr(config, "num_key_value_heads", None) or n_heads,
            d_model=d_model,
            d_head=getattr(config, "head_dim", None) or d_model // n_heads,
            d_mlp=getattr(config, mlp_width) or 4 * d_model,
            vocabulary_size=config.vocab_size,
            context_length=config.max_position_embeddings,
        )

    def heads_at(self, name: str) -> int | None:
        """Heads on the head axis of a site, None for a site without one."""
        if name not in HEAD_SITES:
            return None
        return self.n_key_value_heads if name in ("k", "v") else self.n_heads

    def shape_at(self, site: Site, batch: int, positions: int, keys: int) -> tuple[int, ...]:
        """The shape of the activation at `site`; `keys` is the last axis of a pattern."""
        if site.name == "pattern":
            heads = (self.n_heads,) if site.head is None else ()
            return (batch, *heads, positions, keys)
        width = {"mlp_post": self.d_mlp or 0, "logits": self.vocabulary_size}.get(site.name, self.d_model)
        if site.name in ("q", "k", "v", "z"):
            width = self.d_head
        heads = self.heads_at(site.name)
        axis = (heads,) if heads is not None and site.head is None else ()
        return (batch, positions, *axis, width)
