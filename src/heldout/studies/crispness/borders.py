"""Do polytope boundaries lie between texts that differ in the latent, more than between texts that agree?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from heldout.models import Model, Tokens
from heldout.seeds import numpy_generator
from heldout.statistics import permutation_p_value
from heldout.studies.crispness.pairs import TextPairs
from heldout.studies.crispness.reading import Array, Flags, LatentTexts
from heldout.techniques.polytopes import boundaries, is_piecewise_linear, read_site

DRAWS = 999
STEPS = 32


@final
@dataclass(frozen=True)
class Borders:
    """The mean boundary density of differing pairs over that of agreeing pairs: at the last token, with points rescaled
    and lengths taken in what the MLP reads. `straight` is the same without rescaling. The p-value is two-sided, by
    exchanging pairs of both kinds; `null` is the middle 95 % of what exchanges give."""

    ratio: float
    interval: tuple[float, float]
    straight: float
    null: tuple[float, float]
    p_value: float
    layer: int
    exact: bool


def borders(model: Model, layer: int, texts: LatentTexts, pairs: TextPairs, seed: int) -> Borders:
    """Raises InputError for a layer without a dense MLP."""
    rows = np.concatenate([pairs.differ, pairs.agree])
    first, second = (last_stream(model, layer, texts.tokens[torch.from_numpy(rows[:, side])]) for side in (0, 1))
    lines = boundaries(model, layer, first, second, STEPS)
    differs = np.arange(len(rows)) < len(pairs.differ)
    control = lines.control_density.double().numpy()
    straight = lines.density.double().numpy()
    generator = numpy_generator(seed, "borders", len(rows))
    exchanged = np.array([ratio(control, generator.permutation(differs)) for _ in range(DRAWS)])
    value = ratio(control, differs)
    tails = (permutation_p_value(value, exchanged), permutation_p_value(-value, -exchanged))
    low, high = np.quantile(exchanged, [0.025, 0.975])
    return Borders(
        value,
        bootstrapped(control, differs, generator),
        ratio(straight, differs),
        (float(low), float(high)),
        min(1.0, 2 * min(tails)),
        layer,
        is_piecewise_linear(model, layer),
    )


def last_stream(model: Model, layer: int, tokens: Tokens) -> torch.Tensor:
    site = read_site(model, layer)
    return model.trace(tokens, [site], positions=-1, logits=False)[site][:, 0]


def ratio(density: Array, differs: Flags) -> float:
    return float(density[differs].mean() / max(density[~differs].mean(), 1e-12))


def bootstrapped(density: Array, differs: Flags, generator: np.random.Generator) -> tuple[float, float]:
    parts = (density[differs], density[~differs])
    means = [part[generator.integers(len(part), size=(DRAWS, len(part)))].mean(axis=1) for part in parts]
    low, high = np.quantile(means[0] / means[1].clip(1e-12), [0.025, 0.975])
    return float(low), float(high)
