"""How many alarms would be right, where failures are rare among the models that are audited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from heldout.statistics import PREVALENCES, false_alarm_bound, predictive_value
from heldout.studies.figure_one.counts import Rates
from heldout.studies.figure_one.stages import ALL_HONEST, VIEWS, View

OF_STAGE = "S2"


@dataclass(frozen=True)
class PredictiveValues:
    """The share of alarms that are right, by prevalence, from the recall on S2 and the rate of false alarms.

    Without a false alarm the rate is its upper bound (about 3 / n), and `bounded` is true: no value is better than that.
    `recall` is None where there is no model of S2, and then there are no values.
    """

    view: View
    recall: float | None
    false_alarm_rate: float
    bounded: bool
    values: tuple[tuple[float, float | None], ...]

    def to_json(self) -> dict[str, Any]:
        values = [{"prevalence": prevalence, "predictive_value": value} for prevalence, value in self.values]
        return {**vars(self), "values": values}


def predictive_values(rates: Rates) -> list[PredictiveValues]:
    return [_of_view(rates, view) for view in VIEWS]


def _of_view(rates: Rates, view: View) -> PredictiveValues:
    recall, alarms = rates.share(view, OF_STAGE).value, rates.share(view, ALL_HONEST)
    bounded = alarms.count == 0
    rate = false_alarm_bound(alarms.n) if bounded else alarms.count / alarms.n
    values = tuple(
        (prevalence, None if recall is None else predictive_value(recall, rate, prevalence))
        for prevalence in PREVALENCES
    )
    return PredictiveValues(view, recall, rate, bounded, values)
