"""The stretches of training: change-points in what models do and hold, each with the steps between which it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heldout.studies.change_points import Array, Division, change_intervals, divide
from heldout.studies.trajectory.courses import EXCESS_DEPARTURE, RIGHT, UNVERIFIED, VERIFIED, Course, CurveName
from heldout.studies.trajectory.jumps import jump_p_values

LEVEL = 0.05
SHORTEST = 3
DATED: tuple[tuple[str, CurveName], ...] = (
    ("right where it is checked", VERIFIED),
    ("accepted elsewhere", UNVERIFIED),
    ("right answer can be read", RIGHT),
    ("says what is not read of it", EXCESS_DEPARTURE),
)
"""The curves that phases are told by. Each has a null that it keeps to where nothing is learnt. Likeness to the last
checkpoint has none: it rises in any walk that ends there."""


@final
@dataclass(frozen=True)
class Boundary:
    """A change between two checkpoints: `step` is the first behind it. `low` and `high` are the steps between which it
    lies: of the checkpoint before the earliest place that its 95 % interval holds, and of the latest."""

    step: int
    low: int
    high: int


@final
@dataclass(frozen=True)
class Phases:
    """`told_by` are the names of the curves that left their null in some run; without any there is one phase."""

    told_by: tuple[str, ...]
    boundaries: tuple[Boundary, ...]
    starts: tuple[int, ...]
    """The first checkpoint of each phase, by its number."""
    gradual: int = 0
    """Divisions by levels that are no boundaries, as straight lines are the better description or no curve jumps there."""


def phases_of(courses: Sequence[Course]) -> Phases:
    """Of runs together: all curves of all runs change at the same places, which are found on the scale of checkpoints, as
    these lie close where much happens. A change of level is a boundary where some curve jumps: `jumps` says what that is.
    A checkpoint at which a curve is missing is left out. Of one run: its own."""
    dated = [(name, curve) for name, curve in DATED if any(leaves_null(course, curve) for course in courses)]
    names = tuple(name for name, _ in dated)
    if not dated:
        return Phases((), (), (0,))
    curves = np.stack([course.curve(curve).values for _, curve in dated for course in courses], axis=1)
    kept = np.flatnonzero(np.isfinite(curves).all(axis=1))
    if len(kept) < SHORTEST:
        return Phases(names, (), (0,))
    steps = [courses[0].steps[place] for place in kept]
    boundaries, gradual = jumps_of(steps, kept.astype(np.float64), curves[kept])
    starts = (int(kept[0]), *(courses[0].steps.index(each.step) for each in boundaries))
    return Phases(names, tuple(boundaries), starts, gradual)


def jumps_of(steps: Sequence[int], places: Array, curves: Array) -> tuple[list[Boundary], int]:
    """The boundaries of curves [point, channel], and how many changes of level are none: all where a straight line for each
    curve has the smaller criterion, and those at which no curve jumps."""
    division = divide(places, curves, shortest=SHORTEST, levels=True)
    lines = divide(places, curves, shortest=SHORTEST, most=1)
    if lines.criterion[0] <= min(division.criterion):
        return [], len(division.changes)
    p_values = jump_p_values(curves, division.changes, SHORTEST)
    found = [
        boundary
        for boundary, p_value in zip(_boundaries(steps, places, curves, division), p_values, strict=True)
        if p_value <= LEVEL
    ]
    return found, len(division.changes) - len(found)


def leaves_null(course: Course, name: CurveName) -> bool:
    """At some checkpoint of the run, with Bonferroni's correction over its checkpoints."""
    return bool((course.curve(name).p_values * len(course.steps) <= LEVEL).any())


def _boundaries(steps: Sequence[int], places: Array, curves: Array, division: Division) -> list[Boundary]:
    intervals = change_intervals(places, curves, division, shortest=SHORTEST, levels=True)
    return [
        Boundary(steps[change], steps[low - 1], steps[high])
        for change, (low, high) in zip(division.changes, intervals, strict=True)
    ]
