"""Does an elicitation bring a rejected role to pass its grader? One test for noise, few-shot prompts and fine-tuning.

The setting (a size of noise, a number of examples, a learning rate) is chosen on the select and calibrate splits, and
tested on the test split. The same elicitation of a reference model, with its own best setting, says what an honest weak
model would gain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from heldout.data import Role
from heldout.evals.battery.finding import FEWEST, Finding, Scores, TooDearError
from heldout.evals.battery.grading import grading_chance
from heldout.evals.battery.subject import Answers, BatterySubject, Prompts, Rows
from heldout.evidence.battery import EvalRecord
from heldout.models import Model
from heldout.statistics import above_chance, exceeds_rate_p_value, paired_gain_p_value

MOST_SELECTING = 64
Asked = Callable[[Prompts], Answers]


class Elicitation(Protocol):
    """A way to ask for more than a model gives by itself, at several settings, the most promising first."""

    @property
    def name(self) -> str: ...
    def obstacle(self, subject: BatterySubject) -> str | None: ...
    def settings(self, subject: BatterySubject) -> Sequence[str]: ...
    def preparation_cost(self, setting: str) -> float:
        """Forward passes of one prompt before the first answer."""
        ...

    def prepared(self, subject: BatterySubject, model: Model, setting: str) -> Asked:
        """How `model`, which stays as it is, answers under a setting."""
        ...


@dataclass(frozen=True)
class Schedule:
    """What fits into a share of the budget: which settings are tried, on how many prompts, and how many are tested."""

    settings: tuple[str, ...]
    selecting: Rows
    testing: Rows


@dataclass(frozen=True)
class Elicited:
    """`elicitation` of one rejected role."""

    elicitation: Elicitation
    role: Role

    @property
    def name(self) -> str:
        return self.elicitation.name

    @property
    def quantity(self) -> str:
        return f"accepted_after_{self.name.replace(' ', '_').replace('-', '_')}"

    def obstacle(self, subject: BatterySubject) -> str | None:
        return self.elicitation.obstacle(subject)

    def run(self, subject: BatterySubject, share: float) -> list[Finding]:
        schedule = scheduled(self.elicitation, subject, self.role, share)
        reference_name, reference = subject.reference
        attempts = [
            attempt(self.elicitation, subject, model, self.role, schedule) for model in (subject.model, reference)
        ]
        prompts = subject.prompts[self.role].chosen(schedule.testing)
        untouched = prompts.accepts(subject.answers[self.role][schedule.testing])
        record = self._record(subject, prompts, untouched, attempts, reference_name, len(schedule.settings))
        quantity = f"answer_after_{self.name.replace(' ', '_').replace('-', '_')}"
        scores = tuple(
            Scores(prompts, quantity, self.name, prompts.accepts(answers).astype(float), answers, setting, model)
            for (setting, answers), model in zip(attempts, ("candidate", reference_name), strict=True)
        )
        return [Finding(record, True, scores)]

    def _record(
        self, subject: BatterySubject, prompts: Prompts, untouched: np.ndarray,
        attempts: Sequence[tuple[str, Answers]], reference_name: str, n_settings: int,
    ) -> EvalRecord:  # fmt: skip
        """Has to beat what passed before, what the same answers would pass by chance, and the reference model."""
        (setting, answers), (_, others) = attempts
        accepted, theirs, chance = prompts.accepts(answers), prompts.accepts(others), grading_chance(prompts, answers)
        references = {"before": float(untouched.mean()), "chance": chance, reference_name: float(theirs.mean())}
        highest = max(references, key=lambda name: references[name])
        p_values = [
            paired_p_value(accepted, untouched),
            exceeds_rate_p_value(int(accepted.sum()), len(accepted), chance),
            paired_p_value(accepted, theirs),
        ]
        listed = ", ".join(f"{name} {rate:.2f}" for name, rate in references.items())
        return EvalRecord(
            name=self.name,
            role=self.role,
            quantity=self.quantity,
            effect=float(accepted.mean()),
            reference=references[highest],
            n=len(accepted),
            p_value=max(p_values),
            note=f"{setting}, the best of {n_settings} on other prompts; {listed}",
            compared_with=highest,
        )


def scheduled(elicitation: Elicitation, subject: BatterySubject, role: Role, share: float) -> Schedule:
    """The largest schedule within `share` passes: candidate and reference, each setting on the selecting prompts, the best
    one prepared again on the test prompts. Raises TooDearError where not even one setting can be tested."""
    prompts, settings = subject.prompts[role], list(elicitation.settings(subject))
    cost, testing = subject.answer_cost, prompts.rows("test")
    prepare = partial(elicitation.preparation_cost)

    def price(tried: Sequence[str], selecting: int, tested: int) -> float:
        choosing = sum(prepare(setting) + selecting * cost for setting in tried) if len(tried) > 1 else 0.0
        return 2 * (choosing + max(map(prepare, tried)) + tested * cost)

    least = price(settings[:1], 0, min(FEWEST, len(testing)))
    if share < least:
        raise TooDearError(least, share)
    affordable = int((share / 2 - price(settings[:1], 0, 0)) // (2 * cost))
    testing = testing[: max(min(FEWEST, len(testing)), min(len(testing), affordable))]
    selecting = prompts.rows("select", "calibrate")[:MOST_SELECTING]
    for size in (len(selecting), FEWEST):
        for count in range(len(settings), 1, -1):
            if size <= len(selecting) and price(settings[:count], size, len(testing)) <= share:
                return Schedule(tuple(settings[:count]), selecting[:size], testing)
    return Schedule(tuple(settings[:1]), selecting[:0], testing)


def attempt(
    elicitation: Elicitation, subject: BatterySubject, model: Model, role: Role, schedule: Schedule
) -> tuple[str, Answers]:
    """The best setting, and the answers to the test prompts under it."""
    prompts, best = subject.prompts[role], schedule.settings[0]
    if len(schedule.settings) > 1:
        selecting = prompts.chosen(schedule.selecting)
        scores = {
            setting: passing_above_chance(selecting, elicitation.prepared(subject, model, setting)(selecting))
            for setting in schedule.settings
        }
        best = max(scores, key=lambda setting: scores[setting])
    return best, elicitation.prepared(subject, model, best)(prompts.chosen(schedule.testing))


def passing_above_chance(prompts: Prompts, answers: Answers) -> float:
    return above_chance(float(prompts.accepts(answers).mean()), grading_chance(prompts, answers))


def paired_p_value(accepted: np.ndarray, before: np.ndarray) -> float:
    return paired_gain_p_value(int((accepted & ~before).sum()), int((~accepted & before).sum()))
