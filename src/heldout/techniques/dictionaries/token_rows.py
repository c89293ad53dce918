"""Activations with one row for each token of each prompt."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor

from heldout.errors import InputError, Problem
from heldout.models import Model, Site, Tokens, batch_size, batches
from heldout.shapes import Bool, Float, Int


@final
@dataclass(frozen=True, eq=False)
class TokenRows:
    """Which tokens the rows are: the number of the prompt and the position in the padded batch, from the end."""

    chosen: Bool[Tensor, "prompt position"]

    @classmethod
    def of(cls, tokens: Tokens, position: int | None) -> Self:
        """The tokens at `position` (from the end), or with None all of them, padding aside."""
        chosen = tokens.mask.bool().cpu().clone()
        if position is not None:
            chosen[:, [other for other in range(-tokens.length, 0) if other != position]] = False
        return cls(chosen)

    def __len__(self) -> int:
        return int(self.chosen.sum())

    @property
    def prompts(self) -> Int[Tensor, " row"]:
        return self.chosen.nonzero()[:, 0]

    @property
    def positions(self) -> Int[Tensor, " row"]:
        return self.chosen.nonzero()[:, 1] - self.chosen.shape[1]

    def read(self, model: Model, tokens: Tokens, sites: Iterable[Site]) -> dict[Site, Float[Tensor, "row feature"]]:
        """In float32 on the CPU, heads side by side."""
        sites = list(dict.fromkeys(sites))
        kept: dict[Site, list[Tensor]] = {site: [] for site in sites}
        width = sum(math.prod(model.dimensions.shape_at(site, 1, 1, 1)) for site in sites)
        size = batch_size(model, tokens.length, kept_per_token=width)
        for start, batch in zip(range(0, len(tokens), size), batches(tokens, size), strict=True):
            trace = model.trace(batch, sites, logits=False)
            for site in sites:
                values = trace[site].detach().to("cpu", torch.float32).flatten(2)
                kept[site].append(values[self.chosen[start : start + size]])
        return {site: torch.cat(parts) for site, parts in kept.items()}


def same_tokens(called: str, one: Tokens, other: Tokens, position: int | None) -> TokenRows:
    """The rows of both models. Raises InputError where their tokenizers cut the prompts at different places."""
    rows, others = TokenRows.of(one, position), TokenRows.of(other, position)
    if rows.chosen.shape != others.chosen.shape or not torch.equal(rows.chosen, others.chosen):
        found = f"{len(rows)} tokens for the model and {len(others)} for the other, not in the same places"
        next_step = "compare at the last token (position=-1), or give token ids of equal length"
        raise InputError(called, Problem(found, "tokens that stand for the same text", next_step))
    return rows
