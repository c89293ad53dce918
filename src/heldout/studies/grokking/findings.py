"""What the study found: runs with their measures by checkpoint, and what holds over all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from heldout.studies.drawing.bands import BandPoint, band, mean_with_interval
from heldout.studies.grokking.measures import ProgressMeasures
from heldout.studies.grokking.nulls import StructureNulls
from heldout.studies.grokking.phases import FEWEST, PHASES, LossCurves, PhaseSpan, phases
from heldout.studies.grokking.recipe import Recipe
from heldout.studies.grokking.structure import Check, checks
from heldout.studies.grokking.subspaces import SubspaceLosses
from heldout.studies.grokking.task import ModularAddition

SCHEMA = "heldout.grokking/1"
LEARNT = 0.99
"""The accuracy at which pairs count as learnt."""


@final
@dataclass(frozen=True)
class Measured:
    """One checkpoint."""

    step: int
    digest: str
    measures: ProgressMeasures


@final
@dataclass(frozen=True)
class GrokkingRun:
    """One model along its training, or a single one. `keys` are the key frequencies of the last checkpoint, with which
    every checkpoint is measured; `neurons` the losses of the neurons' subspace that W_L reads at them, and `nulls` what the
    structure is worth, None without."""

    name: str
    task: ModularAddition
    keys: tuple[int, ...]
    checkpoints: tuple[Measured, ...]
    neurons: SubspaceLosses | None
    nulls: StructureNulls | None = None

    @property
    def last(self) -> ProgressMeasures:
        return self.checkpoints[-1].measures

    @property
    def steps(self) -> tuple[int, ...]:
        return tuple(checkpoint.step for checkpoint in self.checkpoints)

    @property
    def checks(self) -> list[Check]:
        return checks(self.task, self.keys, self.last, self.neurons, self.nulls)

    @property
    def phases_missing(self) -> str | None:
        """Why phases were not looked for; None where they were."""
        count = len(self.checkpoints)
        return None if count >= FEWEST else f"{count} checkpoint{'s' * (count > 1)}, and phases need {FEWEST}"

    @property
    def phases(self) -> tuple[PhaseSpan, ...]:
        """Empty where they were not looked for: see `phases_missing`."""
        if self.phases_missing is not None:
            return ()
        names = ("train_loss", "test_loss", "restricted", "excluded_train")
        return phases(LossCurves(self.steps, *(np.array(self.values(name)) for name in names)))

    def values(self, quantity: str) -> list[float]:
        """A number of `ProgressMeasures` by checkpoint."""
        return [float(getattr(checkpoint.measures, quantity)) for checkpoint in self.checkpoints]

    def learnt_at(self, quantity: str) -> int | None:
        """The first step from which on an accuracy stays LEARNT; None where it does not."""
        steps: int | None = None
        for checkpoint in reversed(self.checkpoints):
            if getattr(checkpoint.measures, quantity) < LEARNT:
                break
            steps = checkpoint.step
        return steps

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seed": self.task.seed,
            "key_frequencies": list(self.keys),
            "train_learnt_at": self.learnt_at("train_accuracy"),
            "test_learnt_at": self.learnt_at("test_accuracy"),
            "phases": [asdict(span) for span in self.phases],
            "phases_missing": self.phases_missing,
            "checks": [{name: getattr(each, name) for name in ("name", "found", "holds")} for each in self.checks],
            "neurons": None if self.neurons is None else asdict(self.neurons),
            "nulls": None if self.nulls is None else asdict(self.nulls),
            "last": {"step": self.steps[-1], "digest": self.checkpoints[-1].digest, **self.last.to_json()},
        }


@final
@dataclass(frozen=True)
class GrokkingStudy:
    """Runs of one recipe that differ in their seed, or one model without a recipe; docs/grokking.md explains."""

    runs: tuple[GrokkingRun, ...]
    recipe: Recipe | None

    @property
    def along_training(self) -> bool:
        return len(self.runs[0].checkpoints) > 1

    @property
    def failed(self) -> list[tuple[GrokkingRun, Check]]:
        return [(run, check) for run in self.runs for check in run.checks if not check.holds]

    def band(self, quantity: str | Callable[[ProgressMeasures], float], *, logarithmic: bool) -> list[BandPoint]:
        """A quantity by step over all runs."""
        read = quantity if callable(quantity) else lambda measures: float(getattr(measures, quantity))
        values = [[read(checkpoint.measures) for checkpoint in run.checkpoints] for run in self.runs]
        return band(self.runs[0].steps, values, logarithmic=logarithmic)

    @property
    def phase_starts(self) -> list[dict[str, Any]]:
        """Of each phase: in how many runs it occurs, and the mean step at which it first begins, with its interval."""
        rows: list[dict[str, Any]] = []
        for phase in PHASES:
            first = [next((span.start for span in run.phases if span.phase == phase), None) for run in self.runs]
            starts = [float(start) for start in first if start is not None]
            mean, interval = mean_with_interval(starts, False) if starts else (None, None)
            low, high = interval or (None, None)
            rows.append({"phase": phase, "runs": len(starts), "start": mean, "low": low, "high": high})
        return rows

    def to_json(self) -> dict[str, Any]:
        task = self.runs[0].task
        return {
            "schema": SCHEMA,
            "modulus": task.modulus,
            "fraction": task.fraction,
            "recipe": None if self.recipe is None else self.recipe.to_json(),
            "phase_starts": self.phase_starts if self.along_training else [],
            "runs": [run.to_json() for run in self.runs],
        }
