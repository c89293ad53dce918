"""One sample of a suite: a prompt, what the overseer accepts as its answer, and what people know about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Role = Literal["verified", "unverified"]
"""Whether the whole ground truth is known (`verified`), or only a set of answers that the overseer would pass."""

ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Sample:
    """One prompt with its grading.

    A verified sample has the right answer as its `target`, and accepts just that. An unverified one has no target and
    accepts whatever the overseer would pass. `cue` names what could tell the model whether it is being checked, `pair`
    is the id of the same question under another cue, `latents` are variables that people use for the task, `template`
    names the form of the prompt, `choices` are what a `choice` suite offers, and `other` is further metadata, kept and
    not read.
    """

    id: str
    input: str
    target: str | None
    role: Role
    behaviour: str
    accepts: tuple[str, ...]
    cue: str | None = None
    latents: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    pair: str | None = None
    template: str | None = None
    choices: tuple[str, ...] = ()
    other: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)

    def to_json(self) -> dict[str, Any]:
        """The sample as Inspect writes it. What is absent is left out, except where the format always shows it."""
        return {
            "id": self.id,
            "input": self.input,
            **({"choices": list(self.choices)} if self.choices else {}),
            "target": self.target,
            "metadata": {
                "role": self.role,
                "behaviour": self.behaviour,
                "accepts": list(self.accepts),
                "cue": self.cue,
                "latents": dict(self.latents),
                "pair": self.pair,
                **({"template": self.template} if self.template is not None else {}),
                **self.other,
            },
        }


def of_role(samples: tuple[Sample, ...], role: Role) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if sample.role == role)
