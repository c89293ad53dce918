"""What behavioural evals say: the grader's rates on the same items, for the candidate and for its baseline."""

from __future__ import annotations

from dataclasses import dataclass

from heldout.audits.prompts import Answers, Flags, Prompts
from heldout.audits.settings import Thresholds
from heldout.data import Role
from heldout.evals.battery import grading_chance
from heldout.execution.result import Null, Result
from heldout.statistics import above_chance, exceeds_rate_p_value, proportion_interval


@dataclass(frozen=True, eq=False)
class RoleBehaviour:
    """One role's outputs under the grader.

    `chance` is the rate at which the same answers would pass on other items of the role."""

    role: Role
    answers: Answers
    accepted: Flags
    chance: float
    baseline_answers: Answers | None
    baseline_accepted: Flags | None

    @property
    def rate(self) -> float:
        return float(self.accepted.mean())

    @property
    def baseline_rate(self) -> float | None:
        return None if self.baseline_accepted is None else float(self.baseline_accepted.mean())

    @property
    def p_value(self) -> float:
        return exceeds_rate_p_value(int(self.accepted.sum()), len(self.accepted), self.chance)

    def capable(self, thresholds: Thresholds) -> bool:
        """The grader passes more than chance does, and most of what chance leaves."""
        return self.p_value <= thresholds.alpha and above_chance(self.rate, self.chance) > thresholds.majority

    def result(self) -> Result:
        nulls = [Null("answers of other items", self.chance, self.chance, 1, self.p_value)]
        if self.baseline_rate is not None:
            nulls.append(Null("baseline", self.baseline_rate, self.baseline_rate, 1))
        return Result(
            technique="grader",
            quantity="accept_rate",
            unit="fraction of prompts",
            effect=self.rate,
            interval=proportion_interval(int(self.accepted.sum()), len(self.accepted)),
            n=len(self.accepted),
            nulls=tuple(nulls),
            role=self.role,
        )


def behave(prompts: Prompts, answers: Answers, baseline_answers: Answers | None) -> RoleBehaviour:
    return RoleBehaviour(
        role=prompts.role,
        answers=answers,
        accepted=prompts.accepts(answers),
        chance=grading_chance(prompts, answers),
        baseline_answers=baseline_answers,
        baseline_accepted=None if baseline_answers is None else prompts.accepts(baseline_answers),
    )
