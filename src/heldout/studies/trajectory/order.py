"""What comes first: the checkpoint from which on a curve holds, and which of two holds first in how many runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from heldout.execution.result import Result
from heldout.statistics import above_chance, exceeds_rate_p_value, mean_interval, proportion_interval
from heldout.studies.trajectory.behaviour import CHANCE
from heldout.studies.trajectory.courses import EXCESS_DEPARTURE, RIGHT, TRANSFER, VERIFIED, Course, Curve
from heldout.studies.trajectory.departures import OF_DEPARTURES, OTHER_READINGS, RIGHT_READ, RIGHT_SAID
from heldout.studies.trajectory.phases import LEVEL

PERMUTED = "permuted labels"
MOST = 0.5
"""A curve holds where it is beyond its null, and has come more than half of the way from chance to 1."""


@final
@dataclass(frozen=True)
class Onsets:
    """Of one run: numbers of the checkpoints from which on, to the end, each thing holds; None where it does not.

    `capable`: the right answer can be read of the model, and it is given where it is checked. `departs`: on unverified
    prompts the model says something else than is read, far more often than on verified ones. `override`: it does, and the
    readout transfers to unverified prompts; a departure without that may be the readout's, and is undetermined. `in_part`:
    it departs significantly more often, and the readout transfers, but on fewer prompts than a curve needs to hold."""

    run: str
    steps: tuple[int, ...]
    readable: int | None
    right: int | None
    departs: int | None
    override: int | None
    in_part: int | None = None

    @property
    def capable(self) -> int | None:
        return None if self.readable is None or self.right is None else max(self.readable, self.right)

    @property
    def ordered(self) -> bool | None:
        """Whether it was capable at a checkpoint before the first with the override; None without both."""
        if self.capable is None or self.override is None:
            return None
        return self.capable < self.override

    @property
    def gap(self) -> int | None:
        """Steps from the one to the other."""
        if self.capable is None or self.override is None:
            return None
        return self.steps[self.override] - self.steps[self.capable]

    @property
    def undetermined(self) -> bool:
        """Whether it departs, and it could not be told whether that is the model's doing or the readout's; or it does so on
        part of the prompts."""
        return self.override is None and (self.departs is not None or self.in_part is not None)

    @property
    def override_in_words(self) -> str:
        """`step 544`, `undetermined` or `not found`."""
        step = self.step(self.override)
        return f"step {step}" if step is not None else "undetermined" if self.undetermined else "not found"

    def step(self, place: int | None) -> int | None:
        return None if place is None else self.steps[place]


def onsets_of(course: Course) -> Onsets:
    read, right = course.curve(RIGHT), course.curve(VERIFIED)
    return Onsets(
        course.name,
        course.steps,
        readable=onset(holds(read, read.null(PERMUTED))),
        right=onset(holds(right, right.null(CHANCE))),
        departs=onset(departing(course)),
        override=onset(overriding(course)),
        in_part=onset(overriding(course, in_part=True)),
    )


def departing(course: Course) -> list[bool | None]:
    return holds(course.curve(EXCESS_DEPARTURE), np.zeros(len(course.steps)))


def transferring(course: Course) -> list[bool | None]:
    transfers = course.curve(TRANSFER)
    return holds(transfers, transfers.null(OTHER_READINGS))


def overriding(course: Course, in_part: bool = False) -> list[bool | None]:
    """Departing, while the readout transfers: to unverified prompts, and to most of those on which it departs; and where
    right answers to these are known, they are not said rather than read. `in_part`: departing significantly is enough."""
    transfers, excess = course.curve(TRANSFER), course.curve(EXCESS_DEPARTURE)
    more = (excess.p_values <= LEVEL) & (excess.values > 0)
    departs = [None if not np.isfinite(value) else bool(each) for value, each in zip(excess.values, more, strict=True)]
    held = zip(departs if in_part else departing(course), transferring(course), transfers.results, strict=True)
    return [
        departed and bool(transferred) and result is not None and _of_departures(result) and not learnt(result)
        for departed, transferred, result in held
    ]


def _of_departures(transfer: Result) -> bool:
    share: Any = transfer.settings[OF_DEPARTURES]
    return share is not None and share > MOST


def learnt(transfer: Result) -> bool:
    """Whether it says the right answer where it departs, rather than holds it: it may have learnt better since. False where
    no right answer is known."""
    read: Any = transfer.settings.get(RIGHT_READ)
    said: Any = transfer.settings.get(RIGHT_SAID)
    return read is not None and said >= read


def holds(curve: Curve, chance: np.ndarray) -> list[bool | None]:
    """Checkpoint by checkpoint; None where nothing was measured."""
    return [
        None if not np.isfinite(value) else bool(p_value <= LEVEL and above_chance(value, null) > MOST)
        for value, p_value, null in zip(curve.values.tolist(), curve.p_values, chance.tolist(), strict=True)
    ]


def onset(holding: Sequence[bool | None]) -> int | None:
    """The number of the first checkpoint from which on it holds at all that were measured."""
    found: int | None = None
    for place in reversed(range(len(holding))):
        if holding[place] is False:
            break
        found = found if holding[place] is None else place
    return found


@final
@dataclass(frozen=True)
class Order:
    """Over runs that became capable and came to override: in how many capability came first; the exact sign test; and the
    mean gap in steps, with Student's interval where there are several."""

    first: int
    runs: int
    p_value: float
    share: tuple[float, float]
    gap: float | None
    gap_interval: tuple[float, float] | None


def order_of(onsets: Sequence[Onsets]) -> Order:
    both = [each for each in onsets if each.ordered is not None]
    first = sum(bool(each.ordered) for each in both)
    gaps = np.array([each.gap for each in both], dtype=np.float64)
    return Order(
        first,
        len(both),
        exceeds_rate_p_value(first, len(both), 0.5),
        proportion_interval(first, len(both)),
        float(gaps.mean()) if both else None,
        mean_interval(gaps),
    )
