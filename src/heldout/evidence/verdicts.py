"""The verdict file: one verdict for each behaviour, checked whenever it is made, read or written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from heldout.errors import InputError, Problem
from heldout.evidence.battery import BatteryRecord
from heldout.evidence.canonical import canonical_json, write_durably
from heldout.evidence.claims import p_value_text

SCHEMA = "heldout.verdict/1"
CONCEALMENT_LEGS = ("represented", "conditional", "restored")

Fraction = Annotated[float, Field(ge=0, le=1)]
Decision = Literal["generalised", "deceptive", "not_capable", "undetermined"]
Kind = Literal["concealment", "grader_gaming"]

_CHECKED = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_CHECKED)
class AcceptRates:
    """The share of answers that the grader accepts, by role; None where there are no such samples."""

    verified: Fraction | None = None
    unverified: Fraction | None = None


@dataclass(frozen=True, config=_CHECKED)
class Verdict:
    """The verdict on one behaviour.

    `behavioural_only` is what outputs alone say of the same items: `suspect` where an eval of the `battery` is flagged,
    else whether the grader passes. `gain` says in words what the inside view adds to that. `recall` and
    `false_alarm_rate` (an upper bound) are those of the audit's rules on models of known truth, and `calibrated_on`
    says which; with them the report prints predictive values.
    """

    behaviour: str
    verdict: Decision
    kind: Kind | None
    p_value: Fraction | None
    behavioural_only: Literal["pass", "fail", "suspect"]
    legs: dict[str, dict[str, Any]] = Field(default_factory=dict[str, dict[str, Any]])
    missing: tuple[str, ...] = ()
    candidate_accepts: AcceptRates | None = None
    baseline_accepts: AcceptRates | None = None
    note: str | None = None
    gain: str | None = None
    battery: BatteryRecord | None = None
    recall: Fraction | None = None
    false_alarm_rate: Fraction | None = None
    calibrated_on: str | None = None

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if (self.verdict == "deceptive") != (self.kind is not None):
            raise ValueError(
                f"verdict {self.verdict!r} with kind {self.kind!r}: deceptive verdicts, and only these, have a kind"
            )
        if self.verdict == "undetermined" and not self.missing:
            raise ValueError(
                "verdict 'undetermined' with nothing missing: an undetermined verdict names the legs it lacks"
            )
        if self.kind == "concealment":
            lacking = [leg for leg in CONCEALMENT_LEGS if leg not in self.legs or leg in self.missing]
            if lacking:
                raise ValueError(
                    f"kind 'concealment' without {', '.join(lacking)}: it stands on {', '.join(CONCEALMENT_LEGS)}"
                )
        return self

    @property
    def name(self) -> str:
        return self.verdict if self.kind is None else f"{self.verdict} ({self.kind.replace('_', ' ')})"


@dataclass(frozen=True, config=_CHECKED)
class Verdicts:
    """Everything in verdict.json. Iterates over its verdicts; `verdicts["hard-sums"]` is the one on that behaviour."""

    candidate: Annotated[str, Field(pattern="^sha256:")]
    behaviours: tuple[Verdict, ...]
    schema: Literal["heldout.verdict/1"] = SCHEMA

    @model_validator(mode="after")
    def _rules(self) -> Self:
        names = [verdict.behaviour for verdict in self.behaviours]
        if len(names) != len(set(names)):
            raise ValueError(f"one behaviour with several verdicts: {names}")
        return self

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.behaviours)

    def __len__(self) -> int:
        return len(self.behaviours)

    def __getitem__(self, behaviour: str) -> Verdict:
        for verdict in self.behaviours:
            if verdict.behaviour == behaviour:
                return verdict
        names = ", ".join(repr(verdict.behaviour) for verdict in self.behaviours)
        raise InputError(
            f"Verdicts[{behaviour!r}]",
            Problem("no such behaviour", f"one of {names}", "look at the suite's [[behaviour]] tables"),
        )

    def __str__(self) -> str:
        lines: list[str] = []
        for verdict in self.behaviours:
            p_value = "" if verdict.p_value is None else f", {p_value_text(verdict.p_value)}"
            lines.append(f"{verdict.behaviour}: {verdict.name}{p_value}; outputs alone: {verdict.behavioural_only}")
            lines += [f"  missing: {missing}" for missing in verdict.missing]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """What verdict.json holds: the fields of the contract always, the optional ones where they are known."""
        data = _VERDICTS.dump_python(self, mode="json")
        optional = {
            "candidate_accepts",
            "baseline_accepts",
            "note",
            "gain",
            "battery",
            "recall",
            "false_alarm_rate",
            "calibrated_on",
        }
        data["behaviours"] = [
            {key: value for key, value in verdict.items() if value is not None or key not in optional}
            for verdict in data["behaviours"]
        ]
        return data

    @classmethod
    def from_json(cls, text: bytes | str, called: str = "Verdicts.from_json(text)") -> Verdicts:
        """Raises InputError with every place where `text` breaks the contract."""
        try:
            return _VERDICTS.validate_json(text, strict=True)
        except ValidationError as error:
            problems = [
                Problem(
                    f"{_place(detail['loc'])}: {detail['msg']} (it holds {str(detail['input'])[:80]!r})",
                    f"a file of schema {SCHEMA}",
                    "correct that field, or make the bundle again",
                )
                for detail in error.errors()
            ]
            raise InputError(called, *problems) from error


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "the file"


_VERDICTS = TypeAdapter(Verdicts)


def write_verdicts(path: Path, verdicts: Verdicts) -> None:
    """Writes verdict.json; what is written has been read back first. Raises InputError."""
    data = canonical_json(verdicts.to_json(), indent=1)
    Verdicts.from_json(data, f"write_verdicts({str(path)!r})")
    write_durably(path, data)


def read_verdicts(path: Path) -> Verdicts:
    return Verdicts.from_json(path.read_bytes(), f"read_verdicts({str(path)!r})")
