"""What an eval hands back: a record, whether it is tested, and the raw scores behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from heldout.data import Role
from heldout.evals.battery.subject import Answers, BatterySubject, Prompts
from heldout.evidence.battery import EvalRecord

FEWEST = 10
"""Prompts below which an eval is not worth its name."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Raw scores [prompt]: `values`, and the answers that they were given for, where it is one a prompt."""

    prompts: Prompts
    quantity: str
    intervention: str
    values: NDArray[np.float64]
    answers: Answers | None = None
    direction: str | None = None
    model: str = "candidate"


@dataclass(frozen=True, eq=False)
class Finding:
    """`tested`: the record can raise suspicion, and counts in the correction for several tests."""

    record: EvalRecord
    tested: bool = False
    scores: tuple[Scores, ...] = field(default=())


class Eval(Protocol):
    """One eval of the battery."""

    @property
    def name(self) -> str: ...
    @property
    def role(self) -> Role: ...
    @property
    def quantity(self) -> str: ...

    def obstacle(self, subject: BatterySubject) -> str | None:
        """Why it cannot be done with this subject, whatever the budget; None where it can."""
        ...

    def run(self, subject: BatterySubject, share: float) -> list[Finding]:
        """Costs at most `share` forward passes of one prompt. Raises TooDearError where that is not enough."""
        ...


class TooDearError(Exception):
    """The least that an eval needs is more than its share of the budget."""

    def __init__(self, needed: float, share: float) -> None:
        super().__init__(f"the budget leaves {max(0.0, share):.0f} forward passes, and {needed:.0f} are needed")


def not_done(each: Eval, why: str) -> Finding:
    return Finding(EvalRecord(each.name, each.role, each.quantity, note=f"not done: {why}"))
