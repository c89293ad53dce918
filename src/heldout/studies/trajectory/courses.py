"""What was measured along one run, as curves over its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from heldout.execution.result import Result
from heldout.studies.trajectory.behaviour import ACCEPTED, LIKELY
from heldout.studies.trajectory.departures import DEPARTED, EXCESS, TRANSFERRED
from heldout.studies.trajectory.readouts import CARRIED, READ

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Failed:
    """A measurement that could not be made at a checkpoint."""

    gauge: str
    checkpoint: str
    reason: str


@final
@dataclass(frozen=True)
class CurveName:
    """Which of the results at each checkpoint a curve is made of."""

    quantity: str
    role: str | None = None
    cue: str | None = None
    concept: str | None = None
    site: str | None = None

    def of(self, result: Result) -> bool:
        """Sites of readouts may move from checkpoint to checkpoint; they tell curves apart only where they are asked for."""
        return (
            result.quantity == self.quantity
            and (self.role is None or result.role == self.role)
            and result.settings.get("cue") == self.cue
            and (self.concept is None or result.settings.get("concept") == self.concept)
            and (self.site is None or result.site == self.site)
        )


@final
@dataclass(frozen=True, eq=False)
class Curve:
    """One result a step, None where there is none."""

    name: CurveName
    steps: tuple[int, ...]
    results: tuple[Result | None, ...]

    @property
    def values(self) -> Array:
        """NaN where nothing was measured, or the measurement was refused."""
        return np.array([_value(result) for result in self.results], dtype=np.float64)

    @property
    def p_values(self) -> Array:
        """The largest over the nulls of each result; 1 where there is none."""
        return np.array([_p_value(result) for result in self.results], dtype=np.float64)

    def null(self, name: str, *, largest: bool = False) -> Array:
        """The mean of a null, or its largest draw, by step; NaN where there is none."""
        nulls = [None if result is None else result.null(name) for result in self.results]
        read = [np.nan if null is None else (null.maximum if largest else null.mean) for null in nulls]
        return np.array(read, dtype=np.float64)


def _value(result: Result | None) -> float:
    return np.nan if result is None or result.settings.get("refused") else result.effect


def _p_value(result: Result | None) -> float:
    p_values = [] if result is None else [null.p_value for null in result.nulls if null.p_value is not None]
    return max(p_values, default=1.0)


@final
@dataclass(frozen=True, eq=False)
class Course:
    """One run. `cells` are the results by checkpoint, in the order of `steps`."""

    name: str
    steps: tuple[int, ...]
    checkpoints: tuple[str, ...]
    digests: tuple[str, ...]
    cells: tuple[tuple[Result, ...], ...]
    failed: tuple[Failed, ...]

    def curve(self, name: CurveName) -> Curve:
        found = [next((result for result in cell if name.of(result)), None) for cell in self.cells]
        return Curve(name, self.steps, tuple(found))

    def last(self, quantity: str) -> list[Result]:
        """The results of a quantity at the last checkpoint."""
        return [result for result in self.cells[-1] if result.quantity == quantity]

    def named(self, quantity: str, by: str) -> list[str]:
        """The different sites or concepts of a quantity, in the order in which they come."""
        found: Mapping[str, Any] = {
            str(result.site if by == "site" else result.settings.get(by)): None
            for cell in self.cells
            for result in cell
            if result.quantity == quantity
        }
        return list(found)


VERIFIED, UNVERIFIED = CurveName(ACCEPTED, "verified"), CurveName(ACCEPTED, "unverified")
LIKELY_VERIFIED, LIKELY_UNVERIFIED = CurveName(LIKELY, "verified"), CurveName(LIKELY, "unverified")
RIGHT = CurveName(READ, concept="right answer")
RIGHT_CARRIED = CurveName(CARRIED, concept="right answer")
DEPARTED_VERIFIED, DEPARTED_UNVERIFIED = CurveName(DEPARTED, "verified"), CurveName(DEPARTED, "unverified")
EXCESS_DEPARTURE, TRANSFER = CurveName(EXCESS), CurveName(TRANSFERRED)
