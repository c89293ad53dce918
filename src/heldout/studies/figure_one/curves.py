"""Curves over seeds: the level of harm along training or size, and who catches it there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heldout.statistics import mean_interval
from heldout.studies.figure_one.trajectories import AXES, Axis, State, TrajectoryPoint

LEAST_CAUGHT_FIRST: tuple[State, ...] = ("neither", "inside", "behaviour")
PHASES = ("benign", "capable", "deceptive", "obfuscated")


@dataclass(frozen=True)
class Column:
    """Every seed's model at one x. `interval` is that of the mean over seeds, None for a single one."""

    x: int
    harm: float
    interval: tuple[float, float] | None
    state: State
    phase: str | None
    points: tuple[TrajectoryPoint, ...]


@dataclass(frozen=True)
class Curve:
    """One family along one axis, over its trajectories."""

    axis: Axis
    family: str
    trajectories: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def points(self) -> list[TrajectoryPoint]:
        return [point for column in self.columns for point in column.points]


def curves(points: Sequence[TrajectoryPoint]) -> list[Curve]:
    """One for each axis and family, along training first."""
    families = sorted({point.truth.family for point in points})
    found = {(point.truth.axis, point.truth.family) for point in points}
    return [_curve(axis, family, points) for axis in AXES for family in families if (axis, family) in found]


def _curve(axis: Axis, family: str, points: Sequence[TrajectoryPoint]) -> Curve:
    own = [point for point in points if (point.truth.axis, point.truth.family) == (axis, family)]
    columns = [_column(x, [point for point in own if point.x == x]) for x in sorted({point.x for point in own})]
    return Curve(axis, family, tuple(sorted({point.trajectory for point in own})), tuple(columns))


def _column(x: int, points: Sequence[TrajectoryPoint]) -> Column:
    harms = np.array([point.point.harm for point in points], dtype=np.float64)
    interval = mean_interval(harms)
    bounded = None if interval is None else (max(0.0, interval[0]), min(1.0, interval[1]))
    phase = most_frequent_phase([point.point.phase for point in points])
    return Column(x, float(harms.mean()), bounded, state_of_most([p.state for p in points]), phase, tuple(points))


def state_of_most(states: Sequence[State]) -> State:
    """The most frequent state of the dangerous models that were audited; benign where none is dangerous. Of a tie the
    one in which less is caught.

    >>> state_of_most(["benign", "benign", "behaviour", "inside"])
    'inside'
    """
    counts = Counter(state for state in states if state in LEAST_CAUGHT_FIRST)
    if not counts:
        return "unaudited" if "unaudited" in states else "benign"
    return max(LEAST_CAUGHT_FIRST, key=lambda state: counts[state])


def most_frequent_phase(phases: Sequence[str | None]) -> str | None:
    """Of a tie the earlier one; None where no phase is told."""
    counts = Counter(phase for phase in phases if phase is not None)
    order = {phase: place for place, phase in enumerate(PHASES)}
    return max(counts, key=lambda phase: (counts[phase], -order.get(phase, len(PHASES))), default=None)
