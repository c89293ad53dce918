"""Does the readout transfer to unverified prompts? What is read of them, held against what the run itself once said.

Of unverified prompts no right answer is known. But where a run says on them what is read of it, far beyond chance, two
things agree that were got apart: an answer, and a readout that was fitted on verified prompts alone. There the readout
transfers, and what is said there is the *reference* for every checkpoint. A readout that transfers goes on reading the
reference while the model says something else; one that fails reads neither. A run without a reference has no such control.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from heldout.execution.result import Null, Result
from heldout.statistics import above_chance, exceeds_rate_p_value, proportion_interval
from heldout.studies.trajectory.courses import DEPARTED_UNVERIFIED
from heldout.studies.trajectory.departures import OF_DEPARTURES, OTHER_READINGS, TRANSFERRED, Answers, chance_agreement
from heldout.studies.trajectory.order import MOST
from heldout.studies.trajectory.phases import LEVEL

Cells = Sequence[Sequence[Result]]


def transfers_of(steps: Sequence[int], cells: Cells) -> list[Result | None]:
    """By checkpoint, the share of unverified prompts whose reading is what the run said at its reference; None where
    nothing was read, and everywhere without a reference. The null gives each prompt the reading of another. Under
    OF_DEPARTURES the settings have that share of the prompts on which it departs."""
    readings = [next((result for result in cell if DEPARTED_UNVERIFIED.of(result)), None) for cell in cells]
    place = reference(readings)
    if place is None:
        return [None] * len(cells)
    said = _kept(readings[place], "said")
    return [None if each is None else _transfer(each, said, steps[place]) for each in readings]


def reference(readings: Sequence[Result | None]) -> int | None:
    """The checkpoint at which most of what is said is read: beyond chance, with Bonferroni's correction over checkpoints,
    and more than half of the way from chance to 1. The last of several; None where none is."""
    known = [place for place, each in enumerate(readings) if each is not None]
    found: int | None = None
    most = MOST
    for place in known:
        agreed = _transfer(readings[place], _kept(readings[place], "said"), 0)
        (null,) = agreed.nulls
        assert null.p_value is not None  # it is a test
        share = above_chance(agreed.effect, null.mean)
        if null.p_value * len(known) <= LEVEL and share > MOST and share >= most:
            found, most = place, share
    return found


def _kept(result: Result | None, name: str) -> Answers:
    found: Any = None if result is None else result.settings[name]
    return np.array(found, dtype=np.str_)


def _transfer(reading: Result | None, said: Answers, step: int) -> Result:
    assert reading is not None  # those without are left out
    read, departed = _kept(reading, "read"), _kept(reading, "read") != _kept(reading, "said")
    agreed, n, chance = int((read == said).sum()), len(read), chance_agreement(read, said)
    return Result(
        technique="linear readout against the reference",
        quantity=TRANSFERRED,
        unit="fraction of prompts",
        effect=agreed / n,
        n=n,
        interval=proportion_interval(agreed, n),
        nulls=(Null(OTHER_READINGS, chance, chance, n, exceeds_rate_p_value(agreed, n, chance)),),
        site=reading.site,
        layer=reading.layer,
        role="unverified",
        settings={
            "reference": step,
            OF_DEPARTURES: float(np.mean((read == said)[departed])) if departed.any() else None,
        },
    )
