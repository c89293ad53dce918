"""What an intervention did to answers: others that the grader accepts, or those that the untouched stream holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heldout.audits.examination import Examination
from heldout.audits.prompts import Answers
from heldout.audits.read import Reading
from heldout.audits.removals import Removal
from heldout.audits.replacement import Replacement, replacement
from heldout.models import Site

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Trial:
    """The answers after an intervention and after random counterparts of its size, on the same prompts."""

    after: Answers
    random: tuple[Answers, ...]

    def to_plain(self) -> dict[str, list[str] | list[list[str]]]:
        return {"after": self.after.tolist(), "random": [answers.tolist() for answers in self.random]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, list[str]]) -> Trial:
        return cls(np.array(plain["after"], dtype=np.str_), tuple(np.array(a, dtype=np.str_) for a in plain["random"]))


def run_trial(examination: Examination, removal: Removal, rows: Rows, n_random: int, seed: int) -> Trial:
    """Runs a removal and `n_random` random directions on the chosen rows.

    A removal that changes no answer is not compared with random directions: it has no effect to compare."""
    prompts = examination.prompts.chosen(rows)
    answering = examination.subject.answering
    after = removal.answers(examination.model, prompts.tokens, answering)
    if np.array_equal(after, examination.streams.answers[rows]):
        return Trial(after, ())
    counterparts = (removal.random_like(seed, index) for index in range(n_random))
    return Trial(after, tuple(each.answers(examination.model, prompts.tokens, answering) for each in counterparts))


@dataclass(frozen=True, eq=False)
class Effects:
    """`replaced`: the share of prompts whose answer became another acceptable one, chance at 0. `restored`: the share
    whose answer became, acceptably, the very one that the untouched run holds at `held_at`."""

    replacement: Replacement
    restored: float
    held_at: Site

    @property
    def replaced(self) -> float:
        return self.replacement.rate


def effects_of(
    examination: Examination,
    readings: Mapping[Site, Reading],
    after: Answers,
    rows: Rows,
    held_at: Site | None = None,
    permutations: int = 0,
) -> Effects:
    """`held_at` is searched over the sites where it is not given, on the select split only; of equals the one at which
    trusted answers are read best."""
    before = examination.streams.answers[rows]
    settings = examination.subject.settings
    found = replacement(examination.prompts.chosen(rows), before, after, permutations=permutations, seed=settings.seed)
    improved = found.changed & found.acceptable
    trusted = examination.data.trusted.rows("select", "calibrate")

    def restored_as(site: Site) -> float:
        return float((improved & (readings[site].examined[rows] == after)).mean())

    def selected_accuracy(site: Site) -> float:
        return readings[site].accuracy(examination.data.labels, trusted)

    site = held_at or max(readings, key=lambda site: (round(restored_as(site), 2), selected_accuracy(site)))
    return Effects(found, restored_as(site), site)
