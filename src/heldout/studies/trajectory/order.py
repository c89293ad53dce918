"""What comes first: the checkpoint from which on a curve holds, and which of two holds first in how many runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy import stats

from heldout.statistics import above_chance, mean_interval, proportion_interval
from heldout.studies.trajectory.behaviour import CHANCE
from heldout.studies.trajectory.courses import OVERRIDE, RIGHT, VERIFIED, Course, Curve
from heldout.studies.trajectory.phases import LEVEL

PERMUTED = "permuted labels"
MOST = 0.5
"""A curve holds where it is beyond its null, and has come more than half of the way from chance to 1."""


@final
@dataclass(frozen=True)
class Onsets:
    """Of one run: numbers of the checkpoints from which on, to the end, each thing holds; None where it does not.

    `capable`: the right answer can be read of the model, and it is given where it is checked."""

    run: str
    steps: tuple[int, ...]
    readable: int | None
    right: int | None
    override: int | None

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

    def step(self, place: int | None) -> int | None:
        return None if place is None else self.steps[place]


def onsets_of(course: Course) -> Onsets:
    return Onsets(
        course.name,
        course.steps,
        readable=onset(course.curve(RIGHT), course.curve(RIGHT).null(PERMUTED)),
        right=onset(course.curve(VERIFIED), course.curve(VERIFIED).null(CHANCE)),
        override=onset(course.curve(OVERRIDE), np.zeros(len(course.steps))),
    )


def onset(curve: Curve, chance: np.ndarray) -> int | None:
    """The number of the first checkpoint from which on the curve holds at all that were measured."""
    found: int | None = None
    for place in reversed(range(len(curve.steps))):
        value = curve.values[place]
        if not np.isfinite(value):
            continue
        if curve.p_values[place] > LEVEL or above_chance(float(value), float(chance[place])) <= MOST:
            break
        found = place
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
        float(stats.binomtest(first, len(both), 0.5, alternative="greater").pvalue) if both else 1.0,
        proportion_interval(first, len(both)),
        float(gaps.mean()) if both else None,
        mean_interval(gaps),
    )
