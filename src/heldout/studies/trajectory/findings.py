"""What the study found: the course of every run, the stretches of training, and what comes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, final

import numpy as np

from heldout.data import ROLES
from heldout.studies.drawing import BandPoint
from heldout.studies.drawing.bands import mean_with_interval
from heldout.studies.trajectory.circuits import EdgeCourses, edge_courses
from heldout.studies.trajectory.courses import Array, Course, CurveName, Failed
from heldout.studies.trajectory.order import Onsets, Order, onsets_of, order_of
from heldout.studies.trajectory.phases import DATED, Phases, phases_of


@final
@dataclass(frozen=True, eq=False)
class TrajectoryStudy:
    """Runs at the same steps, which differ in their seed; docs/trajectory.md explains. `suite` and `behaviour` are what
    they were asked."""

    courses: tuple[Course, ...]
    suite: str
    behaviour: str
    prompts: int

    @property
    def steps(self) -> tuple[int, ...]:
        return self.courses[0].steps

    @property
    def failed(self) -> list[tuple[Course, Failed]]:
        return [(course, each) for course in self.courses for each in course.failed]

    @cached_property
    def phases(self) -> Phases:
        """Of all runs together."""
        return phases_of(self.courses)

    @cached_property
    def phases_by_run(self) -> dict[str, Phases]:
        return {course.name: phases_of([course]) for course in self.courses}

    @cached_property
    def onsets(self) -> list[Onsets]:
        return [onsets_of(course) for course in self.courses]

    @property
    def order(self) -> Order:
        return order_of(self.onsets)

    @cached_property
    def circuits(self) -> dict[tuple[str, str], EdgeCourses]:
        """By run and role, where edges were measured."""
        found = {(course.name, role): edge_courses(course, role) for course in self.courses for role in ROLES}
        return {key: each for key, each in found.items() if each is not None}

    def values(self, name: CurveName) -> Array:
        """[run, step]."""
        return np.array([course.curve(name).values for course in self.courses])

    def band(self, name: CurveName) -> list[BandPoint]:
        """By the number of the checkpoint: Student's interval over runs, of a single run that over its prompts."""
        points, (first, *others) = self.band_of(self.values(name)), self.courses
        if others:
            return points
        results = first.curve(name).results
        return [
            BandPoint(point.x, point.mean, None if result is None else result.interval)
            for point, result in zip(points, results, strict=True)
        ]

    def band_of(self, values: Array) -> list[BandPoint]:
        """Of [run, step], over the runs that have a value there; a mean that is not finite where none has."""
        columns = [column[np.isfinite(column)] for column in values.T]
        return [
            BandPoint(place, *(mean_with_interval(column, False) if len(column) else (np.nan, None)))
            for place, column in enumerate(columns)
        ]

    @property
    def levels(self) -> list[dict[str, Any]]:
        """The mean of each dated curve over the checkpoints of each phase, and over runs."""
        edges = [*self.phases.starts, len(self.steps)]
        rows: list[dict[str, Any]] = []
        for number, (start, end) in enumerate(pairwise(edges), 1):
            means = {name: _mean(self.values(curve)[:, start:end]) for name, curve in DATED}
            rows.append({"phase": number, "start": self.steps[start], "end": self.steps[end - 1], **means})
        return rows

    def to_json(self) -> dict[str, Any]:
        return {
            "suite": self.suite,
            "behaviour": self.behaviour,
            "prompts": self.prompts,
            "steps": list(self.steps),
            "phases": {"together": asdict(self.phases), **{k: asdict(v) for k, v in self.phases_by_run.items()}},
            "levels": self.levels,
            "onsets": [_onsets_json(each) for each in self.onsets],
            "order": asdict(self.order),
            "edges": [
                {"run": run, "role": role, "fates": circuit.fates} for (run, role), circuit in self.circuits.items()
            ],
            "failed": [{"run": course.name, **asdict(each)} for course, each in self.failed],
            "runs": [{"name": course.name, "digests": list(course.digests)} for course in self.courses],
        }


def _mean(values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _onsets_json(each: Onsets) -> dict[str, Any]:
    found = {name: getattr(each, name) for name in ("readable", "right", "capable", "departs", "override")}
    steps = {name: each.step(place) for name, place in found.items()}
    return {"run": each.run, **steps, "undetermined": each.undetermined, "gap": each.gap}


def named_edges(study: TrajectoryStudy, role: str, count: int) -> Sequence[str]:
    """The edges of a role with the largest scores in any run."""
    best: dict[str, float] = {}
    for (_, each), circuit in study.circuits.items():
        for column in circuit.strongest(count) if each == role else ():
            size = float(np.nanmax(np.abs(circuit.scores[:, column])))
            best[circuit.edges[column]] = max(best.get(circuit.edges[column], 0.0), size)
    return sorted(best, key=lambda edge: -best[edge])[:count]
