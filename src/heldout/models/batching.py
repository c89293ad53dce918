"""Batches that fit a memory budget."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from heldout.models.model import Model
from heldout.models.tokens import Tokens
from heldout.shapes import Int

DEFAULT_BUDGET_BYTES = 1 << 30
LOGIT_COPIES = 3
"""A row of logits, its soft-capped or edited copy, and the caller's log-softmax."""


def bytes_per_sample(model: Model, length: int, *, last: int = 1, kept_per_token: int = 0) -> int:
    """An upper estimate of the memory that a forward pass needs for one more prompt of `length` tokens.

    Activations of one layer are alive at a time: the stream, its norm, queries, keys, values, z, one pattern (float32,
    if attention is eager) and the MLP's hidden layer. Logits exist at the `last` positions only. `kept_per_token` is
    the number of values that a trace keeps for each token."""
    element = model.dtype.itemsize
    heads = model.d_head * (2 * model.n_heads + 2 * model.n_key_value_heads)
    layer = 4 * model.d_model + heads + 3 * (model.d_mlp or 0)
    pattern = 4 * 2 * model.n_heads * length
    logits = 4 * LOGIT_COPIES * last * model.vocabulary_size
    return length * (element * (layer + kept_per_token) + pattern) + logits


def batch_size(
    model: Model,
    length: int,
    budget_bytes: int = DEFAULT_BUDGET_BYTES,
    *,
    last: int = 1,
    kept_per_token: int = 0,
) -> int:
    """The number of prompts of `length` tokens whose forward pass fits into `budget_bytes` beside the weights; at
    least 1."""
    return max(1, budget_bytes // bytes_per_sample(model, length, last=last, kept_per_token=kept_per_token))


def batches(tokens: Tokens, size: int) -> Iterator[Tokens]:
    """The rows in order, `size` at a time; positions do not move."""
    for start in range(0, len(tokens), size):
        yield tokens[start : start + size]


def batches_by_length(tokens: Tokens, size: int) -> Iterator[tuple[Int[Tensor, " batch"], Tokens]]:
    """The rows from the shortest to the longest, `size` at a time, each batch without the padding that it does not
    need.

    Yields the numbers of the rows beside them."""
    order = torch.argsort(tokens.mask.sum(dim=1), stable=True)
    for rows in order.split(size):
        yield rows, tokens[rows].trimmed()
