"""The logits of a one-layer transformer on prompts `a b =`, without computing anything twice.

Before the only attention the stream at a position depends on its token alone, so keys and values come from a table of
(token, position); the query of `=` is the same in every prompt, so scores come from a table as well; and only the last
position is read, so the MLP runs there and nowhere else. The modules are the model's own, and gradients flow through.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from heldout.errors import InputError, Problem
from heldout.models.plain_transformer import PlainTransformer
from heldout.shapes import Float, Int


def sum_logits(module: PlainTransformer, pairs: Int[Tensor, "batch 2"]) -> Float[Tensor, "batch vocabulary"]:
    """The logits at `=` of prompts `a b =`, `=` being the last token of the vocabulary.

    Raises InputError for a model of several layers."""
    layer: Any = only_layer(module)
    attention = layer.attention
    numbers = module.embed.weight.shape[0] - 1
    rows_b2 = pairs + torch.tensor([0, numbers])
    table_rd = _table(module, numbers)
    normed_rd = layer.attention_norm(table_rd)
    query_hd, key_rhd = (
        project(part).unflatten(-1, (-1, attention.d_head))
        for project, part in ((attention.query, normed_rd[-1]), (attention.key, normed_rd))
    )
    scores_rh = (key_rhd * query_hd).sum(dim=-1) / attention.d_head**0.5
    pattern_bkh = _with_last(scores_rh, rows_b2).softmax(dim=1)
    value_bkhd = _with_last(attention.value(normed_rd), rows_b2).unflatten(-1, (-1, attention.d_head))
    mixed_bhd = (pattern_bkh.unsqueeze(-1) * value_bkhd).sum(dim=1)
    stream_bd = table_rd[-1] + attention.output(mixed_bhd.flatten(1))
    if layer.mlp is not None:
        stream_bd = stream_bd + layer.mlp(layer.mlp_norm(stream_bd))
    return module.unembed(module.final_norm(stream_bd))


def only_layer(module: PlainTransformer) -> nn.Module:
    if len(module.layers) != 1:
        found = f"a model of {len(module.layers)} layers"
        raise InputError("sum_logits", Problem(found, "one layer", "use Model.logits, which takes any"))
    return module.layers[0]


def _table(module: PlainTransformer, numbers: int) -> Float[Tensor, "row d_model"]:
    """Rows: the numbers at the first position, the numbers at the second, and `=` at the third."""
    token, position = module.embed.weight, module.embed_position.weight
    return torch.cat([token[:numbers] + position[0], token[:numbers] + position[1], token[-1:] + position[2]])


def _with_last(
    table: Float[Tensor, "row width"], rows_b2: Int[Tensor, "batch 2"]
) -> Float[Tensor, "batch position width"]:
    """The rows of each prompt's two numbers, and the row of `=`."""
    chosen = nn.functional.embedding(rows_b2, table)
    return torch.cat([chosen, table[-1].expand(len(rows_b2), 1, -1)], dim=1)
