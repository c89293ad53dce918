"""The courses of edges: which appear, which change, which stay and which go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from heldout.data import Role
from heldout.studies.trajectory.courses import Array, Course, CurveName
from heldout.studies.trajectory.edges import EDGES

Fate = Literal["stays", "changes sign", "appears", "goes", "comes and goes"]
SHARE = 0.05
"""An edge is present where it stands out from its null, and has this share of the largest score of the whole run."""


@final
@dataclass(frozen=True, eq=False)
class EdgeCourses:
    """Scores [checkpoint, edge] in logits and where edges are present, of one role in one run; rows of NaN where they were
    not measured."""

    edges: tuple[str, ...]
    scores: Array
    present: np.ndarray

    @property
    def counts(self) -> Array:
        """Edges present by checkpoint."""
        counted = self.present.sum(axis=1).astype(np.float64)
        return np.where(np.isfinite(self.scores).all(axis=1), counted, np.nan)

    @property
    def largest(self) -> float:
        """The largest score of any edge at any checkpoint; 1 where all are 0."""
        return float(np.nanmax(np.abs(self.scores))) or 1.0

    @property
    def likeness(self) -> Array:
        """The cosine of each checkpoint's scores with those of the last."""
        sizes = np.linalg.norm(self.scores, axis=1)
        return (self.scores @ self.scores[-1]) / np.where(sizes * sizes[-1] > 0, sizes * sizes[-1], np.nan)

    @property
    def fates(self) -> dict[str, Fate]:
        """Of every edge that is present at some checkpoint."""
        measured = np.isfinite(self.scores).all(axis=1)
        return {
            edge: _fate(self.present[measured, column], self.scores[measured, column])
            for column, edge in enumerate(self.edges)
            if self.present[measured, column].any()
        }

    def strongest(self, count: int) -> list[int]:
        """Columns of the edges that are present, by their largest score at any checkpoint."""
        largest = np.nanmax(np.abs(self.scores), axis=0) * self.present.any(axis=0)
        return [int(column) for column in np.argsort(-largest, kind="stable")[:count] if largest[column] > 0]


def edge_courses(course: Course, role: Role) -> EdgeCourses | None:
    """None where edges were not measured at the last checkpoint."""
    results = course.curve(CurveName(EDGES, role)).results
    if results[-1] is None:
        return None
    edges: list[str] = results[-1].settings["edges"]  # pyright: ignore[reportAssignmentType]
    scores = np.full((len(results), len(edges)), np.nan)
    outstanding = np.zeros(scores.shape, dtype=np.bool_)
    for place, result in enumerate(results):
        if result is not None:
            columns: Any = result.settings["present"]
            scores[place] = result.settings["scores"]
            outstanding[place, columns] = True
    least = SHARE * np.nanmax(np.abs(scores))
    return EdgeCourses(tuple(edges), scores, outstanding & (np.abs(np.nan_to_num(scores)) >= least))


def _fate(present: np.ndarray, scores: Array) -> Fate:
    signs = np.sign(scores[present])
    if len(signs) > 1 and signs[0] != signs[-1] and present[-1]:
        return "changes sign"
    if present[-1]:
        return "stays" if present[0] else "appears"
    return "goes" if present[0] else "comes and goes"
