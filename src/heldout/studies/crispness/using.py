"""Does the model use the latent? Its direction, fitted on other texts, is written into the stream, and what the model says
of pairs is read again.

The score of a pair is the similarity of two outputs: of an encoder the cosine of the sentence vectors, of a causal model
the cosine of the centred logits of the next token. A flip moves one text by the difference of the class means towards the
other value, and as far the other way; a removal moves both texts to the mean in the directions of the class means, and as
far away from it. What counts is half the difference of the two scores: any large move harms a score, and harms the higher
one more, which has nothing to do with the latent. If the model uses the latent, this is larger in pairs that differ in it
than in pairs that agree in it, made with the same text: the contrast. Null: a random direction, by the same amounts. The
opposite of a move has the opposite contrast, so that a random direction, which is as likely as its opposite, gives two
draws and is run once. A second null changes the sign of the contrast of each group (template, document) at random: a contrast
that a few of them make is no use of the latent. What counts is the larger of the two p-values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from heldout.execution.result import Null
from heldout.models import Model, Site, Sublayers, Tokens, batches_by_length
from heldout.seeds import torch_generator
from heldout.shapes import Float, Int
from heldout.statistics import permutation_p_value
from heldout.studies.crispness.decoding import group_interval
from heldout.studies.crispness.exchange import sign_null
from heldout.studies.crispness.pairs import TextPairs
from heldout.studies.crispness.reading import Array, LatentTexts, Rows, pooled

DIRECTIONS, SIGNS = "random directions", "random signs of groups"
POSITIONS = 8192
"""Of so many positions texts run together: more makes a processor no faster."""
ALIKE = 8
"""So many texts, of nearly one length, are padded together."""
COPIES = 16
"""The outputs of so many moves are held at once: those of a causal model are as wide as its vocabulary."""


@final
@dataclass(frozen=True)
class Contrast:
    """What an edit does to pairs that differ, less what it does to pairs that agree. `draws` are the contrasts of
    random directions, each both ways; `signs` is the null of changed signs of groups; `gap` is the mean of 1 − score of
    differing pairs before."""

    value: float
    interval: tuple[float, float]
    differ: float
    agree: float
    draws: tuple[float, ...]
    signs: Null
    gap: float
    pairs: int
    groups: int

    @property
    def nulls(self) -> tuple[Null, Null]:
        draws = np.array(self.draws)
        p_value = permutation_p_value(self.value, draws)
        return Null(DIRECTIONS, float(draws.mean()), float(draws.max()), len(draws), p_value), self.signs

    @property
    def p_value(self) -> float:
        """The larger of both nulls: each must be beaten."""
        return max(null.p_value or 0.0 for null in self.nulls)

    @property
    def least_p_value(self) -> float:
        """The least that so many draws and groups allow."""
        return max(1 / (len(self.draws) + 1), 1 / (self.signs.n + 1))


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
        self._site = site
        self._start = 0 if site.name == "resid_pre" else (site.layer or 0) + 1
        self._batches = [
            (rows, Sublayers(model, part, [site], logits=False)) for rows, part in batches_by_length(tokens, ALIKE)
        ]

    @torch.no_grad()
    def __call__(self, moves: Float[Tensor, "copy text d_model"]) -> Float[Tensor, "copy text width"]:
        """Of length 1. A move is made at every position of an encoder, and at the last one of a causal model."""
        found = [self._moved(work, moves[:, rows]) for rows, work in self._batches]
        order = torch.argsort(torch.cat([rows for rows, _ in self._batches]))
        return torch.cat(found, dim=1)[:, order]

    def _moved(self, work: Sublayers, moves: Tensor) -> Tensor:
        parts: list[Tensor] = []
        for part in moves.split(max(1, POSITIONS // work.tokens.ids.numel())):
            stream = work.trace[self._site].expand(len(part), -1, -1, -1).clone()
            where = slice(-1, None) if self._model.architecture.causal else slice(None)
            stream[:, :, where] += part[:, :, None].to(stream)
            stream = stream.flatten(0, 1)
            for layer in range(self._start, self._model.n_layers):
                stream = work.layer(layer, stream)
            outputs = self._output(stream, work.tokens.mask.repeat(len(part), 1))
            parts.append(outputs.unflatten(0, (len(part), -1)))
        return torch.cat(parts)

    def _output(self, stream: Float[Tensor, "row position d_model"], mask: Int[Tensor, "row position"]) -> Tensor:
        vectors = pooled(self._model, stream, mask)
        if self._model.architecture.causal:
            logits = self._model.unembed(vectors)
            vectors = logits - logits.mean(dim=-1, keepdim=True)
        return torch.nn.functional.normalize(vectors.double(), dim=-1)


def causal_use(model: Model, site: Site, texts: LatentTexts, pairs: TextPairs, seed: int, draws: int) -> CausalUse:
    """`draws` is even: half as many random directions, each both ways. Raises InputError as `Sublayers` does."""
    streams, rows = texts.streams[site], (pairs.first, pairs.differ, pairs.agree)
    first, differ, agree = (EditedOutputs(model, texts.tokens[torch.from_numpy(each)], site) for each in rows)
    still = torch.zeros(1, len(pairs.first), model.d_model, dtype=torch.double)
    differ_still, agree_still = differ(still), agree(still)
    gap = float(1 - (first(still) * differ_still).sum(dim=-1).mean())

    def flipped(move: Tensor) -> Tensor:
        moved = first(move)
        return torch.stack([(moved * differ_still).sum(dim=-1), (moved * agree_still).sum(dim=-1)])

    def removed(move: Tensor) -> Tensor:
        moves = move.chunk(3, dim=1)
        moved = first(moves[0])
        return torch.stack([(moved * differ(moves[1])).sum(dim=-1), (moved * agree(moves[2])).sum(dim=-1)])

    flip = with_random_moves(flips(streams, texts, pairs.first, pairs.differ), draws // 2, seed, "flip")
    removal = with_random_moves(removals(streams, texts, np.concatenate(rows)), draws // 2, seed, "removal")
    contrasts = [
        contrast_of(changes(score, moves), pairs.groups, gap, seed)
        for score, moves in ((flipped, flip), (removed, removal))
    ]
    return CausalUse(contrasts[0], contrasts[1], pairs.minimal)


def changes(score: Callable[[Tensor], Tensor], moves: Float[Tensor, "copy row d_model"]) -> Array:
    """Half of what a score is with a move more than with its opposite: kind × copy × pair."""
    parts = [(score(part) - score(-part)) / 2 for part in moves.split(COPIES)]
    return torch.cat(parts, dim=1).cpu().numpy()


def flips(streams: Array, texts: LatentTexts, first: Rows, differ: Rows) -> Array:
    """For each pair the difference of class means, from the first text's value to the differing one's."""
    labels, fit = texts.labels, texts.rows("fit")
    means = {value: streams[fit][labels[fit] == value].mean(axis=0) for value in texts.values}
    ends = zip(labels[first].tolist(), labels[differ].tolist(), strict=True)
    return np.array([means[end] - means[start] for start, end in ends])


def removals(streams: Array, texts: LatentTexts, rows: Rows) -> Array:
    """For each text the way to the overall mean, within the span of the class means."""
    labels, fit = texts.labels, texts.rows("fit")
    means = np.array([streams[fit][labels[fit] == value].mean(axis=0) for value in texts.values])
    centre = means.mean(axis=0)
    basis = np.linalg.svd(means - centre, full_matrices=False)[2][: len(means) - 1]
    return -(streams[rows] - centre) @ basis.T @ basis


def with_random_moves(towards: Array, count: int, seed: int, name: str) -> Float[Tensor, "copy row d_model"]:
    """The moves themselves; then, a copy each, as far along one random direction: rows that went to the same side of their
    main direction go to the same side again."""
    moves = torch.from_numpy(towards)
    axis = torch.linalg.svd(moves, full_matrices=False)[2][0]
    signed = moves.norm(dim=-1) * torch.where(moves @ axis >= 0, 1.0, -1.0)
    generator = torch_generator(seed, "random directions", name)
    directions = torch.randn(count, moves.shape[-1], generator=generator, dtype=moves.dtype)
    directions = torch.nn.functional.normalize(directions, dim=-1)
    return torch.cat([moves[None], signed[None, :, None] * directions[:, None]])


def contrast_of(changed: Array, groups: Sequence[str], gap: float, seed: int) -> Contrast:
    """Of the changes of kind × copy × pair; the first copy is the move itself. The interval draws whole groups."""
    differ, agree = changed
    contrasts = differ - agree
    draws = contrasts[1:].mean(axis=1)
    return Contrast(
        float(contrasts[0].mean()),
        group_interval(contrasts[0], groups, seed),
        float(differ[0].mean()),
        float(agree[0].mean()),
        (*draws.tolist(), *(-draws).tolist()),
        sign_null(SIGNS, contrasts[0], groups, seed),
        gap,
        len(groups),
        len(set(groups)),
    )
