"""How large a model is: its parameters that are neither embedding nor unembedding."""

from __future__ import annotations

from heldout.models import Model

POSITIONS = ("wpe", "embed_positions", "position_embeddings", "pos_embed")
"""Modules in which families keep learnt positions."""


def non_embedding_names(model: Model) -> list[str]:
    """The names of these parameters. Tied parameters occur once, as part of the embedding.

    As Kaplan et al. 2020 (arXiv 2001.08361) count them: what grows with the vocabulary or the context is left out."""
    apart = (model.architecture.embedding, model.architecture.unembedding)
    return [
        name
        for name, _ in model.module.named_parameters()
        if not name.startswith(tuple(f"{path}." for path in apart)) and not set(name.split(".")) & {*POSITIONS}
    ]


def non_embedding_parameters(model: Model) -> int:
    named = dict(model.module.named_parameters())
    return sum(named[name].numel() for name in non_embedding_names(model))
