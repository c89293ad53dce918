"""Sentences as single vectors: an encoder's last stream, averaged over a text's tokens.

The vector is the mean over all tokens of the attention mask, the special ones among them, scaled to length 1: the recipe
that sentence-transformers documents for all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv 1908.10084; the encoder is
Wang et al. 2020, arXiv 2002.10957). The similarity of two texts is the cosine of their vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from heldout.models.batching import batch_size, batches_by_length
from heldout.models.model import Model
from heldout.models.sites import Site
from heldout.models.tokens import Tokens
from heldout.shapes import Float, Int


def mean_pooled(
    stream: Float[Tensor, "batch position width"], mask: Int[Tensor, "batch position"]
) -> Float[Tensor, "batch width"]:
    """The mean over each text's tokens; padding does not count."""
    weights = mask.to(stream)
    return torch.einsum("bpd,bp->bd", stream, weights) / weights.sum(dim=1, keepdim=True)


def sentence_vectors(model: Model, tokens: Tokens) -> Float[Tensor, "batch d_model"]:
    """One vector of length 1 a text, under the edits that are on, in one pass."""
    tokens = tokens.to(model.device)
    last = Site("resid_post", model.n_layers - 1)
    stream = model.trace(tokens, [last], logits=False)[last]
    return torch.nn.functional.normalize(mean_pooled(stream, tokens.mask), dim=-1)


def embedded(model: Model, texts: Sequence[str]) -> Float[Tensor, "text d_model"]:
    """The vectors of any number of texts, in passes that fit the memory budget. Raises InputError as `Model.tokenize`
    does, and for texts longer than the context."""
    tokens = model.tokenize(texts)
    vectors = torch.empty(len(tokens), model.d_model, dtype=model.dtype, device=model.device)
    for rows, part in batches_by_length(tokens, min(batch_size(model, tokens.length), 128)):
        vectors[rows] = sentence_vectors(model, part)
    return vectors
