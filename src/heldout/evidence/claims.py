"""Claims: results turned into statements, with the evidence attached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from heldout.errors import Problems
from heldout.evidence.canonical import canonical_json, plain, read_json, restored, write_durably
from heldout.execution.result import Result

SCHEMA = "heldout.claims/1"
LEGS = ("behaviour", "represented", "conditional", "restored", "shared_mechanism", "instability")
ABSENCE = ("is not there", "are not there", "does not exist", "do not exist", "there is no ", "is absent", "are absent")


@dataclass(frozen=True)
class Claim:
    """One statement about one behaviour, found or not, with every result that it rests on.

    `leg` names what the claim carries in a verdict (`LEGS` lists the usual ones). `missing` says what could not be
    tested and why. A search finds things or does not find them: a statement that says that something "is not there"
    raises InputError.
    """

    id: str
    behaviour: str
    leg: str | None
    statement: str
    found: bool
    results: tuple[Result, ...] = ()
    missing: str | None = None

    def __post_init__(self) -> None:
        problems = Problems(f"Claim({self.id!r})")
        wording = self.statement.replace(self.behaviour, "").lower()
        for phrase in ABSENCE:
            if phrase in wording:
                problems.add(
                    f"the statement says {phrase.strip()!r}: {self.statement!r}",
                    "what was looked for, by which technique, and at what power",
                    "word it with not_found(...): 'not found by X at power p'",
                )
        problems.raise_if_any()

    def to_json(self) -> dict[str, Any]:
        return plain({**vars(self), "results": [result.to_json() for result in self.results]})

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        fields: dict[str, Any] = restored(data)
        fields["results"] = tuple(Result.from_json(result) for result in fields.get("results", ()))
        return cls(**fields)


def not_found(subject: str, technique: str, power: float | None, detectable: str | None = None) -> str:
    """The statement of a search that found nothing.

    >>> not_found("A readout of the sum", "linear probes at 9 sites", 0.93, "an accuracy of 0.2")
    'A readout of the sum was not found by linear probes at 9 sites at power 0.93 for an accuracy of 0.2.'
    >>> not_found("A readout of the sum", "linear probes", None)
    'A readout of the sum was not found by linear probes (power not measured).'
    """
    if power is None:
        return f"{subject} was not found by {technique} (power not measured)."
    size = f" for {detectable}" if detectable else ""
    return f"{subject} was not found by {technique} at power {power:.2f}{size}."


def p_value_text(p_value: float) -> str:
    """`p = 0.0005`, or `p < 1e-6`: smaller ones rest on assumptions that no sample of this size can carry.

    >>> p_value_text(0.04812), p_value_text(3e-80)
    ('p = 0.048', 'p < 1e-6')
    """
    return "p < 1e-6" if p_value < 1e-6 else f"p = {p_value:.2g}"


def write_claims(path: Path, claims: tuple[Claim, ...]) -> None:
    write_durably(path, canonical_json({"schema": SCHEMA, "claims": [claim.to_json() for claim in claims]}, indent=1))


def read_claims(path: Path) -> tuple[Claim, ...]:
    """Raises InputError on a file of another schema."""
    data = read_json(path)
    problems = Problems(f"read_claims({str(path)!r})")
    if data.get("schema") != SCHEMA:
        problems.add(f"schema {data.get('schema')!r}", repr(SCHEMA), "open the bundle with the heldout that wrote it")
    problems.raise_if_any()
    return tuple(Claim.from_json(claim) for claim in data["claims"])
