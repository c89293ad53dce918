"""Do polytope boundaries lie between texts that differ in the latent, more than between texts that agree?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from heldout.models import Model, Tokens
from heldout.seeds import numpy_generator
from heldout.statistics import permutation_p_value
from heldout.studies.crispness.exchange import members_of, sign_flips
from heldout.studies.crispness.pairs import TextPairs
from heldout.studies.crispness.reading import Array, LatentTexts, Rows
from heldout.techniques.polytopes import boundaries, is_piecewise_linear, read_site

BOOTSTRAPS = 999
STEPS = 32


@final
@dataclass(frozen=True)
class Borders:
    """The mean boundary density of differing pairs over that of agreeing pairs, of which there are `pairs` each: at the
    last token, with points rescaled and lengths taken in what the MLP reads. `straight` is the same without rescaling. The
    p-value is two-sided: both kinds of pairs are exchanged in whole groups, `draws` times; `null` is the middle 95 % of what
    exchanges give."""

    ratio: float
    interval: tuple[float, float]
    straight: float
    null: tuple[float, float]
    p_value: float
    layer: int
    exact: bool
    draws: int
    pairs: int


def borders(model: Model, layer: int, texts: LatentTexts, pairs: TextPairs, seed: int) -> Borders:
    """Raises InputError for a layer without a dense MLP."""
    first, differ, agree = (
        last_stream(model, layer, texts.tokens[torch.from_numpy(rows)])
        for rows in (pairs.first, pairs.differ, pairs.agree)
    )
    lines = boundaries(model, layer, torch.cat([first, first]), torch.cat([differ, agree]), STEPS)
    members = members_of(pairs.groups)
    control = sums_of(lines.control_density.double().numpy(), members)
    straight = sums_of(lines.density.double().numpy(), members)
    value, exchanged = float(ratio(control)), exchanged_ratios(control, seed)
    tails = (permutation_p_value(value, exchanged), permutation_p_value(-value, -exchanged))
    low, high = np.quantile(exchanged, [0.025, 0.975])
    return Borders(
        value,
        bootstrapped(control, seed),
        float(ratio(straight)),
        (float(low), float(high)),
        min(1.0, 2 * min(tails)),
        layer,
        is_piecewise_linear(model, layer),
        len(exchanged),
        len(pairs.first),
    )


def last_stream(model: Model, layer: int, tokens: Tokens) -> torch.Tensor:
    site = read_site(model, layer)
    return model.trace(tokens, [site], positions=-1, logits=False)[site][:, 0]


def sums_of(density: Array, members: Sequence[Rows]) -> Array:
    """Of differing and of agreeing pairs, which come in this order and as many of each: group × kind."""
    differ, agree = np.split(density, 2)
    return np.array([(differ[rows].sum(), agree[rows].sum()) for rows in members])


def ratio(sums: Array) -> Array:
    """... × group × kind to ...; as there are as many pairs of each kind, their sums are as their means."""
    totals = sums.sum(axis=-2)
    ratios: Array = totals[..., 0] / totals[..., 1].clip(1e-12)
    return ratios


def exchanged_ratios(sums: Array, seed: int) -> Array:
    stays = sign_flips(len(sums), seed)[:, :, None] > 0
    return ratio(np.where(stays, sums, sums[:, ::-1]))


def bootstrapped(sums: Array, seed: int) -> tuple[float, float]:
    """Draws whole groups."""
    generator = numpy_generator(seed, "borders", len(sums))
    drawn = ratio(sums[generator.integers(len(sums), size=(BOOTSTRAPS, len(sums)))])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
