"""A learning coefficient, or the reasons why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from heldout.execution.result import Json, Null, Result
from heldout.techniques.learning_coefficient.level import Level

TECHNIQUE = "learning_coefficient"


@final
@dataclass(frozen=True)
class Estimate:
    """`value` (half parameters: a regular model of d has d/2) with its 95 % interval, both None where `refused` says why.

    `levels` are all that were measured, by rising nβ, the last at the stronger localisation; where one of them is refused
    the dearer ones after it are not measured."""

    value: float | None
    interval: tuple[float, float] | None
    refused: tuple[str, ...]
    levels: tuple[Level, ...]
    parameters: int
    draws: int
    settings: dict[str, Json]

    @property
    def gradient_evaluations(self) -> int:
        """Of the loss, each chain's own."""
        return sum(level.gradient_evaluations for level in self.levels)

    def result(self) -> Result:
        """As other techniques say it. A refusal has no number for the coefficient: it counts its reasons."""
        settings: dict[str, Json] = {
            **self.settings,
            "refused": list(self.refused),
            "gradient_evaluations": self.gradient_evaluations,
            "levels": [level.to_json() for level in self.levels],
        }
        refused = self.value is None
        regular = self.parameters / 2
        return Result(
            technique=TECHNIQUE,
            quantity="refusal" if refused else "learning_coefficient",
            unit="reasons" if refused else "half parameters",
            effect=float(len(self.refused)) if self.value is None else self.value,
            interval=self.interval,
            n=self.draws,
            nulls=() if refused else (Null("regular model of as many parameters", regular, regular, 1),),
            settings=settings,
        )
