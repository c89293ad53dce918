"""What the score gains from each word that two texts differ by: Shapley values over edits (Shapley 1953).

The words of one text become those of the other by single insertions, deletions and replacements. Each edit is credited
with the mean gain over orders in which the edits can be made, every text on the way being scored as a whole; with each
drawn order its reverse is taken too. Along any order the gains sum to the difference exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import final

import numpy as np

from heldout.models import Model, Tokens, batch_size
from heldout.models.batching import batches_by_length
from heldout.studies.reward.scoring import Array

ORDERS = 4
"""Drawn for a pair, and as many reverses."""
MOST_EDITS = 24
"""Where texts differ by more, neighbouring edits are made together."""


@final
@dataclass(frozen=True)
class Edit:
    """Tokens `start` to `end` of the first text become `new`."""

    start: int
    end: int
    new: tuple[int, ...]


@final
@dataclass(frozen=True)
class EditedText:
    """The tokens of the first text, and the edits that make them the second's; those of one group are made together."""

    ids: tuple[int, ...]
    groups: tuple[tuple[Edit, ...], ...]

    @classmethod
    def between(cls, first: Sequence[int], second: Sequence[int]) -> EditedText:
        edits = list(edits_between(first, second))
        places = np.array_split(np.arange(len(edits)), min(len(edits), MOST_EDITS) or 1)
        groups = tuple(tuple(edits[place] for place in group) for group in places if len(group))
        return cls(tuple(first), groups)

    def after(self, made: frozenset[int]) -> list[int]:
        """The text with the groups that are `made`."""
        ids: list[int] = []
        place = 0
        for edit in (edit for group in sorted(made) for edit in self.groups[group]):
            ids += [*self.ids[place : edit.start], *edit.new]
            place = edit.end
        return [*ids, *self.ids[place:]]

    def orders(self, generator: np.random.Generator) -> list[list[int]]:
        drawn = [generator.permutation(len(self.groups)).tolist() for _ in range(ORDERS)]
        return [order for each in drawn for order in (each, each[::-1])]


def edits_between(first: Sequence[int], second: Sequence[int]) -> Iterator[Edit]:
    """Single edits from left to right: where stretches of different length stand against each other, the surplus is
    inserted or deleted."""
    for kind, start, end, new_start, new_end in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        old, new = range(start, end), second[new_start:new_end]
        for place, token in zip_longest(old, new):
            at = end if place is None else place
            yield Edit(at, at if place is None else at + 1, () if token is None else (token,))


def shapley_values(model: Model, texts: Sequence[EditedText], generator: np.random.Generator) -> list[Array]:
    """The gain of each group of edits, of each text; every text on the way is scored once."""
    orders = [text.orders(generator) for text in texts]
    steps = (
        (text, frozenset(order[:made]))
        for text, each in enumerate(orders)
        for order in each
        for made in range(len(order) + 1)
    )
    wanted = list(dict.fromkeys(steps))
    rows = Tokens.from_ids([texts[text].after(made) for text, made in wanted])
    values = np.empty(len(wanted))
    for places, part in batches_by_length(rows, batch_size(model, rows.length)):
        values[places.numpy()] = model.logits(part)[:, -1, 0].double().cpu().numpy()
    score = dict(zip(wanted, values.tolist(), strict=True))
    return [mean_gains(text, each, score) for text, each in enumerate(orders)]


def mean_gains(text: int, orders: Sequence[Sequence[int]], score: dict[tuple[int, frozenset[int]], float]) -> Array:
    gains = np.zeros(len(orders[0]))
    for order in orders:
        for n, group in enumerate(order):
            gains[group] += score[text, frozenset(order[: n + 1])] - score[text, frozenset(order[:n])]
    return gains / len(orders)
