"""What a fine-tune left in the activations of text that has nothing to do with it (arXiv 2510.13900).

The mean difference between the activations of both models, at the first tokens of unrelated text and a middle layer, is
read through the base's final norm and unembedding: which tokens does it push up?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heldout.errors import InputError, Problem
from heldout.execution.result import Null
from heldout.models import Model, Site, Tokens, batch_size, batches
from heldout.models.norms import frozen_norm
from heldout.seeds import torch_generator
from heldout.shapes import Float
from heldout.statistics import mean_interval, permutation_p_value
from heldout.studies.diff.pairing import Pairing
from heldout.studies.diff.prompts import Prompts

FIRST_TOKENS = 5
DIRECTIONS = 199
PUSHED = 10
"""Tokens over whose push the direction is held against random ones."""

Lens = Callable[[Float[Tensor, "... d_model"]], Float[Tensor, "... vocabulary"]]


@final
@dataclass(frozen=True)
class PushedToken:
    """A token with its push in logits: how far the mean difference moves it, less the mean over all tokens. The 95 %
    interval is over texts."""

    token: int
    text: str
    push: float
    interval: tuple[float, float] | None


@final
@dataclass(frozen=True, eq=False)
class LensReading:
    """The mean difference at one layer. `shift` is its norm relative to the norm of the base's stream there, `pushes`
    the push of every token, `by_position` the most pushed tokens of each of the first positions alone, and the nulls
    the mean push of the ten most pushed tokens along other directions of the same norm."""

    layer: int
    texts: int
    shift: float
    shift_interval: tuple[float, float] | None
    pushes: NDArray[np.float64]
    tokens: tuple[PushedToken, ...]
    by_position: tuple[tuple[str, ...], ...]
    top_push: float
    nulls: tuple[Null, ...]


def middle_layers(n_layers: int) -> list[int]:
    """A third, half and two thirds of the way up, the half first; never the last layer, which is the output.

    >>> middle_layers(3), middle_layers(12), middle_layers(1)
    ([1], [6, 4, 8], [0])
    """
    last = max(n_layers - 2, 0)
    return list(dict.fromkeys(min(place, last) for place in (n_layers // 2, n_layers // 3, 2 * n_layers // 3)))


def lens_readings(pairing: Pairing, prompts: Prompts, seed: int, shown: int = 24) -> tuple[LensReading, ...]:
    """One reading a middle layer. Raises InputError where no two texts have enough tokens."""
    tokens, begin = first_tokens(pairing.base, prompts)
    layers = middle_layers(pairing.base.n_layers)
    sites = [Site("resid_post", layer) for layer in layers]
    here, there = (first_activations(model, tokens, sites, begin) for model in (pairing.base, pairing.tuned))
    last = Site("resid_post", pairing.base.n_layers - 1)
    lens = lens_of(pairing.base, first_activations(pairing.base, tokens[:64], [last], begin)[last])
    return tuple(_reading(pairing.base, site.layer or 0, here[site], there[site], lens, seed, shown) for site in sites)


def first_tokens(model: Model, prompts: Prompts) -> tuple[Tokens, int]:
    """The beginnings of the texts that are long enough, all of one length; and how many special tokens are in front."""
    rows: list[list[int]] = model.tokenizer(list(prompts.texts))["input_ids"]
    special = set(model.tokenizer.all_special_ids)
    begin = 1 if rows[0][0] in special else 0
    wanted = begin + FIRST_TOKENS
    kept = [row[:wanted] for row in rows if len(row) >= wanted]
    if len(kept) < 2:
        problem = Problem(
            f"{len(kept)} texts of {prompts.source} with {FIRST_TOKENS} tokens or more",
            "several texts of that length",
            "give longer lines, or another text",
        )
        raise InputError("lens_readings", problem)
    return Tokens.from_ids(torch.tensor(kept)).to(model.device), begin


def first_activations(model: Model, tokens: Tokens, sites: list[Site], begin: int) -> dict[Site, Tensor]:
    """[text, position, d_model] at each site, behind the special tokens."""
    size = batch_size(model, tokens.length, kept_per_token=len(sites) * model.d_model)
    traces = [model.trace(batch, sites, logits=False) for batch in batches(tokens, size)]
    return {site: torch.cat([trace[site][:, begin:] for trace in traces]).float() for site in sites}


def lens_of(model: Model, last_stream: Float[Tensor, "text position d_model"]) -> Lens:
    """The final norm, with the mean scale that it has on these streams, and the unembedding; the mean over tokens is
    taken away. Linear: what a sum of differences pushes is the sum of their pushes."""
    norm = frozen_norm(model.module.get_submodule(model.architecture.final_norm), last_stream)
    unembedding: Tensor = model.module.get_submodule(model.architecture.unembedding).weight.detach().float()  # pyright: ignore[reportAssignmentType, reportCallIssue]
    centred = unembedding - unembedding.mean(dim=0)
    scale = norm.inverse_scale.float().mean()

    def lens(x: Tensor) -> Tensor:
        moved = x - x.mean(dim=-1, keepdim=True) if norm.centred else x
        return (moved * norm.gain.float() * scale) @ centred.T

    return lens


def _reading(model: Model, layer: int, here: Tensor, there: Tensor, lens: Lens, seed: int, shown: int) -> LensReading:
    differences_tpd = there.to(here) - here
    differences_td = differences_tpd.mean(dim=1)
    mean = differences_td.mean(dim=0)
    stream = float(here.norm(dim=-1).mean())
    pushes = lens(mean)
    ranked = pushes.argsort(descending=True)[:shown]
    by_text = lens(differences_td)[:, ranked].double().cpu().numpy()
    tokens = tuple(
        PushedToken(token, written(model, token), float(pushes[token]), mean_interval(by_text[:, place]))
        for place, token in enumerate(ranked.tolist())
    )
    by_position = tuple(
        tuple(written(model, token) for token in lens(each).argsort(descending=True)[:5].tolist())
        for each in differences_tpd.mean(dim=0)
    )
    along = (differences_td @ (mean / mean.norm().clamp_min(1e-30))).double().cpu().numpy() / stream
    top = float(top_push(pushes))
    nulls = _nulls(differences_td, mean, lens, top, seed) if float(mean.norm()) > 0 else ()
    shift = float(mean.norm()) / stream
    pushed = pushes.double().cpu().numpy()
    return LensReading(layer, len(here), shift, mean_interval(along), pushed, tokens, by_position, top, nulls)


def _nulls(differences_td: Tensor, mean: Tensor, lens: Lens, top: float, seed: int) -> tuple[Null, ...]:
    """Directions of the mean's norm: random ones, and those of the texts' own differences with random signs."""
    generator = torch_generator(seed, "directions")
    gaussian = torch.randn(DIRECTIONS, len(mean), generator=generator).to(mean)
    signs = (torch.randint(0, 2, (DIRECTIONS, len(differences_td)), generator=generator) * 2 - 1).to(mean)
    mixed = signs @ (differences_td - mean)
    return tuple(
        _null(name, (top_push(lens(each / each.norm(dim=1, keepdim=True) * mean.norm()))).double().cpu().numpy(), top)
        for name, each in (("random directions", gaussian), ("random signs", mixed))
        if bool((each.norm(dim=1) > 0).all())
    )


def _null(name: str, draws: NDArray[np.float64], observed: float) -> Null:
    return Null(name, float(draws.mean()), float(draws.max()), len(draws), permutation_p_value(observed, draws))


def top_push(pushes: Float[Tensor, "... vocabulary"]) -> Float[Tensor, ...]:
    return pushes.topk(min(PUSHED, pushes.shape[-1]), dim=-1).values.mean(dim=-1)


def written(model: Model, token: int) -> str:
    return str(model.tokenizer.decode([token])).strip() or f"<token {token}>"
