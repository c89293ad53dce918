"""The phases of a run: pieces between change-points, named by what moves in them.

Memorisation, circuit formation and clean-up are those of arXiv 2301.05217, section 5.2: train loss falls; the excluded
loss rises while test loss is still high; test loss falls. A piece in which none of this happens is a plateau, or, once
test loss has fallen, settled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal, final

import numpy as np

from heldout.errors import InputError, Problem
from heldout.studies.change_points import Array, divide

Phase = Literal["memorisation", "circuit formation", "clean-up", "plateau", "settled"]
PHASES: tuple[Phase, ...] = ("memorisation", "circuit formation", "clean-up", "plateau", "settled")
SHORTEST = 3
FEWEST = 2 * SHORTEST
"""Points in which there can be a change: with fewer there is one piece, whatever happens in it."""
MOVES = 0.1
"""A loss moves in a piece where it changes by this share of its whole range, on a logarithmic scale."""


@final
@dataclass(frozen=True)
class PhaseSpan:
    """A phase from one step to another; the next one begins where it ends."""

    phase: Phase
    start: int
    end: int


@final
@dataclass(frozen=True, eq=False)
class LossCurves:
    """Losses in nats at rising steps."""

    steps: tuple[int, ...]
    train: Array
    test: Array
    restricted: Array
    excluded: Array

    @property
    def logarithms(self) -> Array:
        """log10 of the losses [point, channel], in the order of the fields."""
        return np.log10(np.stack([self.train, self.test, self.restricted, self.excluded], axis=1))


def phases(curves: LossCurves) -> tuple[PhaseSpan, ...]:
    """The phases in their order; pieces of one name that follow each other are one. Change-points are found over the
    square root of the step, at which early and late changes are about equally long.

    Raises InputError for fewer than FEWEST checkpoints."""
    if len(curves.steps) < FEWEST:
        problem = Problem(
            f"{len(curves.steps)} checkpoints",
            f"{FEWEST} or more: two pieces of {SHORTEST}, with a change between them",
            "measure more checkpoints of the run",
        )
        raise InputError("phases(curves)", problem)
    logarithms = curves.logarithms
    division = divide(np.sqrt(np.array(curves.steps, dtype=np.float64)), logarithms, shortest=SHORTEST)
    edges = [*division.starts, len(curves.steps)]
    names = _names([_moves(logarithms, start, end) for start, end in pairwise(edges)])
    spans: list[PhaseSpan] = []
    for _, places in groupby(range(len(names)), key=lambda place: names[place]):
        inside = list(places)
        end = min(edges[inside[-1] + 1], len(curves.steps) - 1)
        spans.append(PhaseSpan(names[inside[0]], curves.steps[edges[inside[0]]], curves.steps[end]))
    return tuple(spans)


def _moves(logarithms: Array, start: int, end: int) -> Array:
    """The change of each channel within a piece, as a share of its range. What happens between two pieces is neither's:
    where curves bend, the point of the bend is as much one's as the other's."""
    ranges = np.ptp(logarithms, axis=0)
    return (logarithms[end - 1] - logarithms[start]) / np.where(ranges > 0, ranges, 1.0)


def _names(moves: Sequence[Array]) -> list[Phase]:
    names: list[Phase] = []
    for train, test, _, excluded in moves:
        if test < -MOVES:
            names.append("clean-up")
        elif excluded > MOVES and "memorisation" in names:
            names.append("circuit formation")
        elif train < -MOVES and "clean-up" not in names:
            names.append("memorisation")
        else:
            names.append("settled" if "clean-up" in names else "plateau")
    return names
