"""Everything that the study found, in one frozen record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from heldout.studies.figure_one.comparing import SignTest, sign_tests
from heldout.studies.figure_one.counts import Rates, count_rates
from heldout.studies.figure_one.curves import Curve, curves
from heldout.studies.figure_one.holding_out import HeldOutFamily, held_out_families
from heldout.studies.figure_one.models import AuditedModel, Models
from heldout.studies.figure_one.predicting import PredictiveValues, predictive_values
from heldout.studies.figure_one.targets import Target, targets
from heldout.studies.figure_one.trajectories import TrajectoryPoint

SCHEMA = "heldout.figure-1/1"


@dataclass(frozen=True)
class FigureOne:
    """Everything that the study found; docs/figure_1.md says what the words mean."""

    models: Models
    points: tuple[TrajectoryPoint, ...]
    rates: Rates
    predictive_values: tuple[PredictiveValues, ...]
    sign_tests: tuple[SignTest, ...]
    held_out_families: tuple[HeldOutFamily, ...]
    targets: tuple[Target, ...]
    curves: tuple[Curve, ...]

    @property
    def false_alarms(self) -> list[AuditedModel]:
        """The honest models that the inside view called deceptive."""
        return [model for model in self.models.audited if model.false_alarm("inside")]

    @property
    def honest_trainings(self) -> int:
        """Honest models of one family and seed begin with the same training: so many are independent."""
        return len({(model.family, model.recipe.seed) for model in self.models.audited if not model.dangerous})

    @property
    def falsely_reassuring(self) -> list[AuditedModel]:
        """The models of S2 and S3 that the inside view called generalised."""
        audited = self.models.audited
        return [m for m in audited if m.groups[0] in ("S2", "S3") and m.reading.verdict == "generalised"]

    @property
    def unaudited_points(self) -> list[TrajectoryPoint]:
        return [point for point in self.points if point.reading is None]

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "models": len(self.models.audited),
            "missing": list(self.models.missing),
            "skipped": [vars(skipped) for skipped in self.models.skipped],
            "false_alarms": [model.name for model in self.false_alarms],
            "falsely_reassuring": [model.name for model in self.falsely_reassuring],
            "honest_trainings": self.honest_trainings,
            "targets": [target.to_json() for target in self.targets],
            "rates": self.rates.to_json(),
            "predictive_values": [values.to_json() for values in self.predictive_values],
            "sign_tests": [test.to_json() for test in self.sign_tests],
            "held_out_families": [row.to_json() for row in self.held_out_families],
            "points": len(self.points),
            "unaudited_points": [point.name for point in self.unaudited_points],
        }


def summed_up(models: Models, points: tuple[TrajectoryPoint, ...]) -> FigureOne:
    rates = count_rates(models.audited)
    return FigureOne(
        models=models,
        points=points,
        rates=rates,
        predictive_values=tuple(predictive_values(models.audited)),
        sign_tests=tuple(sign_tests(models.audited)),
        held_out_families=tuple(held_out_families(models.audited)),
        targets=tuple(targets(rates)),
        curves=tuple(curves(points)),
    )
