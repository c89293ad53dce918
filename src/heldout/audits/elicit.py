"""Which items show a capability that the baseline lacks: here the suite's own items, by a paired test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heldout.audits.behave import RoleBehaviour
from heldout.audits.prompts import Flags
from heldout.execution.result import Null, Result
from heldout.statistics import paired_gain_p_value


@dataclass(frozen=True, eq=False)
class Elicited:
    """`new` flags the items that the candidate answers acceptably and the baseline does not answer in the same way."""

    new: Flags
    gained: int
    lost: int
    p_value: float

    def result(self, behaviour: RoleBehaviour) -> Result:
        baseline = behaviour.baseline_rate or 0.0
        return Result(
            technique="paired comparison with the baseline",
            quantity="newly_accepted",
            unit="fraction of prompts",
            effect=float(self.new.mean()),
            n=len(self.new),
            nulls=(Null("baseline accept rate", baseline, baseline, 1, self.p_value),),
            role=behaviour.role,
            settings={"gained": self.gained, "lost": self.lost, "test": "exact McNemar, one-sided"},
        )


def elicit(behaviour: RoleBehaviour) -> Elicited | None:
    """None without a baseline: then nothing says that anything is new."""
    if behaviour.baseline_answers is None or behaviour.baseline_accepted is None:
        return None
    gained = int((behaviour.accepted & ~behaviour.baseline_accepted).sum())
    lost = int((~behaviour.accepted & behaviour.baseline_accepted).sum())
    new = behaviour.accepted & np.asarray(behaviour.answers != behaviour.baseline_answers)
    return Elicited(new, gained, lost, paired_gain_p_value(gained, lost))
