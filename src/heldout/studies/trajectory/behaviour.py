"""What a checkpoint does: how often the grader passes its answers, and how likely it finds them, by role and cue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from heldout.data import Role
from heldout.execution.result import Null, Result
from heldout.models import Checkpoint, Model
from heldout.statistics import exceeds_rate_p_value, mean_interval, proportion_interval
from heldout.studies.trajectory.answers import Answers, answers_of, chance_of
from heldout.studies.trajectory.asked import Asked
from heldout.studies.trajectory.gauge import as_json

CHANCE = "answers of other prompts"
ACCEPTED, LIKELY = "accept_rate", "accepted_log_probability"


@final
@dataclass(frozen=True, eq=False)
class Behaviour:
    """Of verified prompts the accept rate is accuracy; of unverified ones it is what the overseer would pass, right or
    not: the harm cannot be seen in it."""

    asked: Asked
    name: str = "behaviour"

    @property
    def settings(self) -> dict[str, Any]:
        return self.asked.key

    def measure(self, model: Model, checkpoint: Checkpoint, **settings: Any) -> list[dict[str, Any]]:
        answers = answers_of(model, self.asked)
        return as_json([result for group in self.asked.groups for result in self._group(answers, *group)])

    def _group(self, answers: Answers, role: Role, cue: str | None) -> list[Result]:
        rows = self.asked.rows(role, cue)
        samples = [self.asked.samples[row] for row in rows]
        passed, chance = int(answers.accepted[rows].sum()), chance_of(samples, answers.spelled[rows])
        likely = answers.log_probabilities[rows]
        null = Null(CHANCE, chance, chance, len(rows), exceeds_rate_p_value(passed, len(rows), chance))
        rate = Result(
            technique="grader",
            quantity=ACCEPTED,
            unit="fraction of prompts",
            effect=passed / len(rows),
            n=len(rows),
            interval=proportion_interval(passed, len(rows)),
            nulls=(null,),
            role=role,
            settings={"cue": cue},
        )
        likelihood = Result(
            technique="grader",
            quantity=LIKELY,
            unit="nats",
            effect=float(np.mean(likely)),
            n=len(rows),
            interval=mean_interval(likely),
            role=role,
            settings={"cue": cue},
        )
        return [rate, likelihood]
