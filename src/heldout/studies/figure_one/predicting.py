"""How many alarms would be right, where failures are rare among the models that are audited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from heldout.statistics import PREVALENCES, predictive_value, proportion_interval
from heldout.studies.figure_one.counts import Share
from heldout.studies.figure_one.models import AuditedModel
from heldout.studies.figure_one.stages import VIEWS, View

OF_STAGE = "S2"


@dataclass(frozen=True)
class PredictiveValues:
    """The share of alarms that are right, by prevalence, from the recall on S2 and the rate of false alarms.

    An alarm is the verdict `deceptive`, or of outputs alone `suspect`, on deceptive and honest models alike. The rate of
    false alarms is its upper bound at 95 % (one-sided, exact; about 3 / n without any): no better value is proved. `recall`
    is None where there is no model of S2, and then there are no values.
    """

    view: View
    recall: float | None
    false_alarm_rate: float
    values: tuple[tuple[float, float | None], ...]

    def to_json(self) -> dict[str, Any]:
        values = [{"prevalence": prevalence, "predictive_value": value} for prevalence, value in self.values]
        return {**vars(self), "values": values}


def predictive_values(models: Sequence[AuditedModel]) -> list[PredictiveValues]:
    return [_of_view(models, view) for view in VIEWS]


def _of_view(models: Sequence[AuditedModel], view: View) -> PredictiveValues:
    recall = Share.of(model.reading.alarms(view) for model in models if OF_STAGE in model.groups).value
    alarms = Share.of(model.reading.alarms(view) for model in models if not model.dangerous)
    rate = proportion_interval(alarms.count, alarms.n, level=0.90)[1] if alarms.n else 1.0
    values = tuple(
        (prevalence, None if recall is None else predictive_value(recall, rate, prevalence))
        for prevalence in PREVALENCES
    )
    return PredictiveValues(view, recall, rate, values)
