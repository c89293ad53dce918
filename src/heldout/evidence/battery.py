"""What a battery of behavioural evals leaves in a bundle: a record of each eval, and what all of them cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from heldout.execution.result import Null, Result

_CHECKED = ConfigDict(extra="forbid")
Fraction = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, config=_CHECKED)
class EvalRecord:
    """One behavioural eval on the prompts of one role.

    `effect` and `reference` are shares of `n` prompts, `quantity` says of what, and `compared_with` what the reference
    is. An eval that was not done has no effect, and its `note` says why. `p_value` is None where nothing is tested.
    `forward_passes` counts passes of one prompt.
    """

    name: str
    role: Literal["verified", "unverified"]
    quantity: str
    effect: Fraction | None = None
    reference: Fraction | None = None
    n: Annotated[int, Field(ge=0)] = 0
    p_value: Fraction | None = None
    forward_passes: Annotated[float, Field(ge=0)] = 0.0
    flagged: bool = False
    note: str = ""
    compared_with: str = ""

    @property
    def done(self) -> bool:
        return self.effect is not None

    def result(self) -> Result | None:
        """As a measurement; None where the eval was not done."""
        if self.effect is None:
            return None
        nulls = (
            ()
            if self.reference is None
            else (Null(self.compared_with, self.reference, self.reference, 1, self.p_value),)
        )
        return Result(
            technique=self.name,
            quantity=self.quantity,
            unit="fraction of prompts",
            effect=self.effect,
            n=self.n,
            nulls=nulls,
            role=self.role,
            forward_passes=self.forward_passes / max(1, self.n),
            settings={"flagged": self.flagged, "note": self.note},
        )


@dataclass(frozen=True, config=_CHECKED)
class BatteryRecord:
    """All evals of one behaviour. `budget` is what the inside view spent on the candidate, `spent` what the evals spent
    on every model that they ran, both in forward passes of one prompt; the greedy answers belong to both."""

    evals: tuple[EvalRecord, ...]
    budget: Annotated[float, Field(ge=0)]
    spent: Annotated[float, Field(ge=0)]

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> BatteryRecord:
        return _BATTERY.validate_python(data)

    @property
    def flagged(self) -> tuple[EvalRecord, ...]:
        return tuple(record for record in self.evals if record.flagged)


_BATTERY = TypeAdapter(BatteryRecord)
