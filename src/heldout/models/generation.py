"""Decoding with a key-value cache: greedily, or as a caller chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from heldout.models.tokens import Tokens
from heldout.shapes import Float, Int

Step = Callable[..., Any]
"""Runs the module on input_ids, attention_mask, position_ids and past_key_values; `generated` says that the ids are
new."""

Choose = Callable[[Float[Tensor, "batch vocabulary"]], Int[Tensor, " batch"]]
"""The next token of each row, from the logits at its last position; called once for each new token."""


def most_likely(logits: Float[Tensor, "batch vocabulary"]) -> Int[Tensor, " batch"]:
    """Greedy decoding."""
    return logits.argmax(dim=-1)


def decode(
    step: Step,
    tokens: Tokens,
    max_new_tokens: int,
    end_ids: frozenset[int],
    *,
    cached: bool,
    choose: Choose = most_likely,
) -> Int[Tensor, "batch new"]:
    """The continuation of each row, token by token; rows that have ended repeat their end token.

    `cached` is whether the module keeps keys and values between steps; without it every step runs the whole text."""
    ids, mask = tokens.ids, tokens.mask
    text, text_mask, cache = ids, mask, None
    new: list[Tensor] = []
    ended = torch.zeros(len(tokens), dtype=torch.bool, device=ids.device)
    end_tensor = torch.tensor(sorted(end_ids), dtype=ids.dtype, device=ids.device)
    for _ in range(max_new_tokens):
        position_ids = (text_mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = step(ids, text_mask, position_ids, cache, generated=cached and bool(new))
        chosen = choose(output.logits[:, -1])
        if new:
            chosen = torch.where(ended, new[-1], chosen)
        new.append(chosen)
        ended |= torch.isin(chosen, end_tensor)
        if bool(ended.all()):
            break
        text = torch.cat([text, chosen[:, None]], dim=1)
        text_mask = torch.cat([text_mask, torch.ones_like(chosen)[:, None]], dim=1)
        ids, cache = (chosen[:, None], output.past_key_values) if cached else (text, None)
    return torch.stack(new, dim=1) if new else ids[:, :0]


def end_token_ids(module: nn.Module, tokenizer: Any) -> frozenset[int]:
    """Ids that end a text, from the generation config, the config and the tokenizer."""
    found: set[int] = set()
    for owner in (getattr(module, "generation_config", None), getattr(module, "config", None), tokenizer):
        ids = getattr(owner, "eos_token_id", None)
        found |= set(ids) if isinstance(ids, list | tuple) else set() if ids is None else {int(ids)}
    return frozenset(found)
