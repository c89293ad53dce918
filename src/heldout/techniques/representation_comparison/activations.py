"""Activations of prompts at sites: at one position, or averaged over a prompt's tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from heldout.errors import Problems
from heldout.models import Model, Site, Tokens, batch_size, batches
from heldout.shapes import Float

SHOWN = 5


def read_activations(
    model: Model, tokens: Tokens, sites: Iterable[Site], position: int | None
) -> dict[Site, Float[Tensor, "item feature"]]:
    """In float32 on the CPU, heads side by side. `position` counts from the end; None is the mean over a prompt's tokens,
    padding aside.

    Raises InputError for patterns, whose width is the prompt's, and where a prompt has no token at the position."""
    sites = list(sites)
    check_request(f"read_activations({model.name!r}, position={position})", tokens, sites, position)
    kept: dict[Site, list[Tensor]] = {site: [] for site in sites}
    width = sum(math.prod(model.dimensions.shape_at(site, 1, 1, 1)) for site in sites)
    for batch in batches(tokens, batch_size(model, tokens.length, kept_per_token=width)):
        trace = model.trace(batch, sites, positions=None if position is None else (position,), logits=False)
        for site in sites:
            kept[site].append(one_row_a_prompt(trace[site], batch, position))
    return {site: torch.cat(parts) for site, parts in kept.items()}


def one_row_a_prompt(values: Tensor, tokens: Tokens, position: int | None) -> Float[Tensor, "item feature"]:
    values = values.detach().to("cpu", torch.float32).flatten(2)
    if position is not None:
        return values[:, 0].clone()
    real = tokens.mask.to("cpu", torch.float32)[:, :, None]
    return (values * real).sum(dim=1) / real.sum(dim=1)


def check_request(called: str, tokens: Tokens, sites: Sequence[Site], position: int | None) -> None:
    problems = Problems(called)
    if any(site.name == "pattern" for site in sites):
        problems.add("attention patterns", "sites whose width is the same for every prompt", "choose z, or attn_out")
    if position is not None and -tokens.length <= position < 0:
        short = (tokens.mask[:, position] == 0).nonzero().flatten().tolist()
        if short:
            found = f"{len(short)} prompts without a token at position {position}: {', '.join(map(str, short[:SHOWN]))}"
            problems.add(found, "a position that every prompt has", "choose a later position, or the mean over tokens")
    problems.raise_if_any()
