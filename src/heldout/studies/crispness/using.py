"""Does the model use the latent? Its direction, fitted on other texts, is written into the stream, and what the model says
of pairs is read again.

The score of a pair is the similarity of two outputs: of an encoder the cosine of the sentence vectors, of a causal model
the cosine of the centred logits of the next token. A flip moves one text by the difference of the class means towards the
other value, and as far the other way; a removal moves both texts to the mean in the directions of the class means, and as
far away from it. What counts is half the difference of the two scores: any large move harms a score, and harms the higher
one more, which has nothing to do with the latent. If the model uses the latent, this is larger in pairs that differ in it
than in pairs that agree in it: the contrast. Null: a random direction, by the same amounts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from heldout.models import Model, Site, Sublayers, Tokens
from heldout.seeds import numpy_generator, torch_generator
from heldout.shapes import Float
from heldout.statistics import permutation_p_value
from heldout.studies.crispness.pairs import TextPairs
from heldout.studies.crispness.reading import Array, Flags, LatentTexts, Rows, pooled

DRAWS = 39
POSITIONS = 8192
"""Of so many positions texts run together: more makes a processor no faster."""


@final
@dataclass(frozen=True)
class Contrast:
    """What an edit does to pairs that differ, less what it does to pairs that agree. `draws` are the contrasts of
    random directions; `gap` is the mean of 1 − score of differing pairs before."""

    value: float
    interval: tuple[float, float]
    differ: float
    agree: float
    draws: tuple[float, ...]
    gap: float

    @property
    def p_value(self) -> float:
        return permutation_p_value(self.value, np.array(self.draws))


@final
@dataclass(frozen=True)
class CausalUse:
    """Both edits; `minimal`: differing pairs differ in nothing but the latent."""

    flip: Contrast
    removal: Contrast
    minimal: bool


class EditedOutputs:
    """The outputs of texts whose stream at `site` was moved: only the layers behind it are run again."""

    def __init__(self, model: Model, tokens: Tokens, site: Site) -> None:
        self._model = model
        self._start = 0 if site.name == "resid_pre" else (site.layer or 0) + 1
        self._work = Sublayers(model, tokens.trimmed(), [site], logits=False)
        self._stream: Tensor = self._work.trace[site]

    @torch.no_grad()
    def __call__(self, moves: Float[Tensor, "copy text d_model"]) -> Float[Tensor, "copy text width"]:
        """Of length 1. A move is made at every position of an encoder, and at the last one of a causal model."""
        parts: list[Tensor] = []
        for part in moves.split(max(1, POSITIONS // self._work.tokens.ids.numel())):
            stream = self._stream.expand(len(part), -1, -1, -1).clone()
            where = slice(-1, None) if self._model.architecture.causal else slice(None)
            stream[:, :, where] += part[:, :, None].to(stream)
            stream = stream.flatten(0, 1)
            for layer in range(self._start, self._model.n_layers):
                stream = self._work.layer(layer, stream)
            parts.append(self._output(stream.unflatten(0, (len(part), -1))))
        return torch.cat(parts)

    def _output(self, stream: Float[Tensor, "copy text position d_model"]) -> Tensor:
        vectors = pooled(self._model, stream, self._work.tokens)
        if self._model.architecture.causal:
            logits = self._model.unembed(vectors)
            vectors = logits - logits.mean(dim=-1, keepdim=True)
        return torch.nn.functional.normalize(vectors.double(), dim=-1)


def causal_use(
    model: Model, site: Site, texts: LatentTexts, pairs: TextPairs, seed: int, draws: int = DRAWS
) -> CausalUse:
    """Raises InputError as `Sublayers` does."""
    streams, rows = texts.streams[site], np.concatenate([pairs.differ, pairs.agree])
    sides = [EditedOutputs(model, texts.tokens[torch.from_numpy(rows[:, side])], site) for side in (0, 1)]
    still = torch.zeros(1, len(rows), model.d_model, dtype=torch.double)
    first, second = (side(still) for side in sides)
    before = (first * second).sum(dim=-1)
    differs = np.arange(len(rows)) < len(pairs.differ)
    gap = float(1 - before[0, : len(pairs.differ)].mean())

    def contrast(towards: Tensor, away: Tensor) -> Contrast:
        changes = ((towards - away) / 2).numpy()
        return contrast_of(changes[0], changes[1:], differs, gap, seed)

    flipped = with_random_moves(flips(streams, texts, rows), draws, seed, "flip")
    flip = contrast(*((sides[0](sign * flipped) * second).sum(dim=-1) for sign in (1, -1)))
    removed = with_random_moves(removals(streams, texts, rows.T.ravel()), draws, seed, "removal").chunk(2, dim=1)
    removal = contrast(*((sides[0](sign * removed[0]) * sides[1](sign * removed[1])).sum(dim=-1) for sign in (1, -1)))
    return CausalUse(flip, removal, pairs.minimal)


def flips(streams: Array, texts: LatentTexts, rows: Rows) -> Array:
    """For each pair the difference of class means, from the first text's value to the second's, or, where they agree, to
    the next value."""
    labels, values, fit = texts.labels, texts.values, texts.rows("fit")
    means = {value: streams[fit][labels[fit] == value].mean(axis=0) for value in values}
    following = dict(zip(values, [*values[1:], values[0]], strict=True))
    found: list[Array] = []
    for first, second in rows:
        start, end = str(labels[first]), str(labels[second])
        found.append(means[following[start] if start == end else end] - means[start])
    return np.array(found)


def removals(streams: Array, texts: LatentTexts, rows: Rows) -> Array:
    """For each text the way to the overall mean, within the span of the class means."""
    labels, fit = texts.labels, texts.rows("fit")
    means = np.array([streams[fit][labels[fit] == value].mean(axis=0) for value in texts.values])
    centre = means.mean(axis=0)
    basis = np.linalg.svd(means - centre, full_matrices=False)[2][: len(means) - 1]
    return -(streams[rows] - centre) @ basis.T @ basis


def with_random_moves(towards: Array, draws: int, seed: int, name: str) -> Float[Tensor, "copy row d_model"]:
    """The moves themselves; then, a draw each, as far along one random direction: rows that went to the same side of their
    main direction go to the same side again."""
    moves = torch.from_numpy(towards)
    axis = torch.linalg.svd(moves, full_matrices=False)[2][0]
    signed = moves.norm(dim=-1) * torch.where(moves @ axis >= 0, 1.0, -1.0)
    generator = torch_generator(seed, "random directions", name)
    directions = torch.randn(draws, moves.shape[-1], generator=generator, dtype=moves.dtype)
    directions = torch.nn.functional.normalize(directions, dim=-1)
    return torch.cat([moves[None], signed[None, :, None] * directions[:, None]])


def contrast_of(changes: Array, random: Array, differs: Flags, gap: float, seed: int) -> Contrast:
    """With a bootstrap interval over pairs, each kind for itself."""
    differ, agree = changes[differs], changes[~differs]
    generator = numpy_generator(seed, "pairs", len(changes))
    drawn = [part[generator.integers(len(part), size=(999, len(part)))].mean(axis=1) for part in (differ, agree)]
    low, high = np.quantile(drawn[0] - drawn[1], [0.025, 0.975])
    draws = random[:, differs].mean(axis=1) - random[:, ~differs].mean(axis=1)
    value = float(differ.mean() - agree.mean())
    return Contrast(
        value, (float(low), float(high)), float(differ.mean()), float(agree.mean()), tuple(draws.tolist()), gap
    )
