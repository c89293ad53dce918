"""Does the readout transfer to unverified prompts? What is read of them, held against what the run itself once said.

Of unverified prompts no right answer is known. But where a run says on them what is read of it, far beyond chance, two
things agree that were got apart: an answer, and a readout that was fitted on verified prompts alone. There the readout
transfers, and what is said there is the *reference* for every checkpoint. A readout that transfers goes on reading the
reference while the model says something else; one that fails reads neither. A run without a reference has no such control.

Prompts of one answer go together: a readout that fails may map each answer onto another, and with few answers it hits what
is said by chance. So the null has the answers as its unit: it names all of them anew (`relabelled`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heldout.execution.result import Json, Null, Result
from heldout.statistics import above_chance, exceeds_rate_p_value, proportion_interval
from heldout.studies.trajectory.courses import DEPARTED_UNVERIFIED
from heldout.studies.trajectory.departures import (
    OF_DEPARTURES,
    OTHER_READINGS,
    RELABELLED,
    RIGHT_READ,
    RIGHT_SAID,
    TRANSFERRED,
    Answers,
    chance_agreement,
)
from heldout.studies.trajectory.order import MOST
from heldout.studies.trajectory.phases import LEVEL

Cells = Sequence[Sequence[Result]]
NAMINGS = 9999


def transfers_of(steps: Sequence[int], cells: Cells, right: Answers | None = None) -> list[Result | None]:
    """By checkpoint, the share of unverified prompts whose reading is what the run said at its reference; None where
    nothing was read, and everywhere without a reference. The null gives each prompt the reading of another. Under
    OF_DEPARTURES the settings have that share of the prompts on which it departs. `right` are right answers to unverified
    prompts, "" where none is known: RIGHT_READ and RIGHT_SAID count on how many prompts on which it departs they are read
    and said."""
    readings = [next((result for result in cell if DEPARTED_UNVERIFIED.of(result)), None) for cell in cells]
    place = reference(readings)
    if place is None:
        return [None] * len(cells)
    said = _kept(readings[place], "said")
    return [None if each is None else _transfer(each, said, steps[place], right) for each in readings]


def reference(readings: Sequence[Result | None]) -> int | None:
    """The checkpoint at which most of what is said is read: beyond chance, with Bonferroni's correction over checkpoints,
    and more than half of the way from chance to 1. The last of several; None where none is."""
    known = [place for place, each in enumerate(readings) if each is not None]
    found: int | None = None
    most = MOST
    for place in known:
        agreed = _transfer(readings[place], _kept(readings[place], "said"), 0)
        p_value = max(null.p_value or 0.0 for null in agreed.nulls)
        share = above_chance(agreed.effect, agreed.nulls[0].mean)
        if p_value * len(known) <= LEVEL and share > MOST and share >= most:
            found, most = place, share
    return found


def _kept(result: Result | None, name: str) -> Answers:
    found: Any = None if result is None else result.settings[name]
    return np.array(found, dtype=np.str_)


def relabelled(read: Answers, said: Answers) -> Null:
    """How often what is read is what is said where the answers of the one are named anew, each by another one's name, at
    random. With few answers no agreement is beyond that: k of them can be named in k! ways."""
    names, places = np.unique(np.concatenate([read, said]), return_inverse=True)
    table = np.zeros((len(names), len(names)))
    np.add.at(table, (places[: len(read)], places[len(read) :]), 1.0)
    order = np.tile(np.arange(len(names)), (NAMINGS, 1))
    named = np.random.default_rng(0).permuted(order, axis=1)
    agreed = table[order, named].sum(axis=1) / len(read)
    observed = float(np.trace(table)) / len(read)
    p_value = (1 + int((agreed >= observed - 1e-9).sum())) / (NAMINGS + 1)
    return Null(RELABELLED, float(agreed.mean()), float(agreed.max()), NAMINGS, p_value)


def _transfer(reading: Result | None, said: Answers, step: int, right: Answers | None = None) -> Result:
    assert reading is not None  # those without are left out
    read, now = _kept(reading, "read"), _kept(reading, "said")
    departed = read != now
    agreed, n, chance = int((read == said).sum()), len(read), chance_agreement(read, said)
    return Result(
        technique="linear readout against the reference",
        quantity=TRANSFERRED,
        unit="fraction of prompts",
        effect=agreed / n,
        n=n,
        interval=proportion_interval(agreed, n),
        nulls=(
            Null(OTHER_READINGS, chance, chance, n, exceeds_rate_p_value(agreed, n, chance)),
            relabelled(read, said),
        ),
        site=reading.site,
        layer=reading.layer,
        role="unverified",
        settings={
            "reference": step,
            OF_DEPARTURES: float(np.mean((read == said)[departed])) if departed.any() else None,
            **_right(read, now, departed, right),
        },
    )


def _right(read: Answers, said: Answers, departed: NDArray[np.bool_], right: Answers | None) -> dict[str, Json]:
    """On how many prompts the right answer is read, and said; nothing where none is known."""
    if right is None or not (known := departed & (right != "")).any():
        return {}
    return {RIGHT_READ: int((read == right)[known].sum()), RIGHT_SAID: int((said == right)[known].sum())}
