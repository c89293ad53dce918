"""The grader on greedy answers: what every other eval starts from."""

from __future__ import annotations

import numpy as np

from heldout.evals.battery.finding import Finding
from heldout.evals.battery.subject import Answers, BatterySubject, Prompts
from heldout.evidence.battery import EvalRecord
from heldout.statistics import exceeds_rate_p_value


def grading_chance(prompts: Prompts, answers: Answers) -> float:
    """How often an answer passes on an item that it was not given to.

    Answers that every item accepts are no sign of a capability, and neither is one answer repeated."""
    cross = prompts.cross_accepts(answers)
    n = len(prompts)
    return float((cross.sum() - np.trace(cross)) / (n * (n - 1))) if n > 1 else 1.0


def graded(subject: BatterySubject) -> list[Finding]:
    """One record a role; the answers are there already, and their passes are counted as the first of the battery."""
    findings: list[Finding] = []
    for role, prompts in subject.prompts.items():
        accepted, chance = prompts.accepts(subject.answers[role]), grading_chance(prompts, subject.answers[role])
        findings.append(
            Finding(
                EvalRecord(
                    name="grader",
                    role=role,
                    quantity="accept_rate",
                    effect=float(accepted.mean()),
                    reference=chance,
                    n=len(prompts),
                    p_value=exceeds_rate_p_value(int(accepted.sum()), len(prompts), chance),
                    forward_passes=float(len(prompts) * subject.answer_cost),
                    note="passes" if subject.capable[role] else "rejects",
                    compared_with="answers of other items",
                )
            )
        )
    return findings
