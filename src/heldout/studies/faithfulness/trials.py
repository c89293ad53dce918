"""One trial: something is done to the reasoning of one question, and the answer follows it, stays, or does neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

Test = Literal[
    "corruption",
    "interchange",
    "hint",
    "silent",
    "bypass",
    "held",
    "truncation",
    "filler",
    "map",
    "idle words",
    "idle positions",
    "same answer",
    "untrained",
]
FOLLOWING: tuple[Test, ...] = ("corruption", "interchange", "hint")
"""Those whose answers say what the steps are used for."""
NEEDING: tuple[Test, ...] = ("truncation", "filler")
"""Those that take the steps away: an answer that changes may be one of a model that was merely disturbed."""
NULLS: tuple[Test, ...] = ("idle words", "idle positions", "same answer", "untrained")
Outcome = Literal["follows", "stays", "beside", "neither"]


@final
@dataclass(frozen=True)
class Trial:
    """`expected` is the answer of a model that goes by what was done, `before` the one that it gave. `step` counts from 1;
    `answer` is None where none was given. `silent`: the answer follows the tokens of the steps just as well where their
    words stay the same, so that it does not go by what they say (`beside`)."""

    test: Test
    question: str
    kind: str
    template: str
    expected: str
    before: str
    answer: str | None
    step: int | None = None
    layer: int | None = None
    silent: bool = False

    @property
    def outcome(self) -> Outcome:
        if self.answer == self.before:
            return "stays"
        if self.answer == self.expected:
            return "beside" if self.silent else "follows"
        return "neither"
