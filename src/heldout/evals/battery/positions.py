"""Words that can be exchanged between prompts of one role without changing what is asked, as far as verified answers tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from heldout.evals.battery.subject import BatterySubject, Flags, Rows
from heldout.models import Tokens
from heldout.seeds import numpy_generator

UNCHANGED = 0.95
"""Words may be exchanged if at least this share of verified answers stays as it was."""
MOST_PROMPTS, MOST_UNDECIDED, MOST_POSITIONS = 64, 8, 64


def same_length(subject: BatterySubject) -> bool:
    tokens = [prompts.tokens for prompts in subject.prompts.values()]
    return len({each.length for each in tokens}) == 1 and all(bool(each.mask.all()) for each in tokens)


def exchanged(tokens: Tokens, donors: Tokens, positions: Sequence[int]) -> Tokens:
    """The same prompts [item] with the donors' [item] words at `positions`, counted from the end."""
    ids, index = tokens.ids.clone(), list(positions)
    ids[:, index] = donors.ids[:, index]
    return Tokens(ids, tokens.mask)


@dataclass(frozen=True, eq=False)
class PositionSearch:
    """Finds harmless positions with at most `share` forward passes: words one at a time, then in pairs and threes (a cue
    of several words cannot be exchanged in part), then all of them together."""

    subject: BatterySubject
    share: float

    def __call__(self) -> tuple[int, ...]:
        """Positions from the end; empty where there are none, or where the budget does not reach that far."""
        varying = self._varying()
        if len(self._rows) < 2 or len(varying) > MOST_POSITIONS or (len(varying) + 1) * self._trial > self.share:
            return ()
        trials, found = int(self.share // self._trial) - 1, list[int]()
        for group in self._groups(varying, found):
            if trials == 0:
                break
            trials -= 1
            found += group if self._harmless(group) else ()
        together = tuple(sorted(set(found)))
        return together if together and self._harmless(together) else ()

    @property
    def _rows(self) -> Rows:
        return self.subject.prompts["verified"].rows("select", "calibrate")[:MOST_PROMPTS]

    @property
    def _trial(self) -> float:
        return float(len(self._rows) * self.subject.answer_cost)

    def _varying(self) -> list[int]:
        """Where not all verified prompts hold the same word."""
        ids = self.subject.prompts["verified"].tokens.ids
        return [place - ids.shape[1] for place in range(ids.shape[1]) if bool((ids[:, place] != ids[0, place]).any())]

    def _groups(self, varying: Sequence[int], found: Sequence[int]) -> Iterator[tuple[int, ...]]:
        yield from ((position,) for position in varying)
        undecided = [position for position in varying if position not in found]
        if len(undecided) <= MOST_UNDECIDED:
            for size in (2, 3):
                yield from combinations(undecided, size)

    def _harmless(self, positions: Sequence[int]) -> bool:
        prompts = self.subject.prompts["verified"].chosen(self._rows)
        order = numpy_generator(self.subject.settings.seed, "battery partners").permutation(len(self._rows))
        given = exchanged(prompts.tokens, prompts.tokens[torch.from_numpy(order)], positions)
        after = self.subject.answering(self.subject.model, given)
        return float(np.mean(after == self.subject.answers["verified"][self._rows])) >= UNCHANGED


def differs(first: Tokens, second: Tokens) -> Flags:
    """Which rows hold other tokens."""
    rows = [
        [ids[mask.bool()].tolist() for ids, mask in zip(each.ids, each.mask, strict=True)] for each in (first, second)
    ]
    return np.array([one != other for one, other in zip(*rows, strict=True)], dtype=bool)
