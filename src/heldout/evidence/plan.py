"""The plan of an audit, fixed and digested before the candidate is run for the first time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from heldout.errors import InputError, Problem, Problems
from heldout.evidence.canonical import canonical_json, plain, read_json, sha256, write_durably

SCHEMA = "heldout.plan/1"


@dataclass(frozen=True)
class Plan:
    """What will be tested, where, at which thresholds, on which samples, and when the audit stops.

    `splits` maps a behaviour to what its splits hold: counts (`{"fit": 120, "test": 60}`) or lists of sample ids.
    `settings` takes what a particular audit fixes beyond the common fields.
    """

    hypotheses: tuple[str, ...]
    sites: tuple[str, ...]
    thresholds: dict[str, float]
    splits: dict[str, dict[str, Any]]
    stop_rule: str
    permutations: int
    seeds: tuple[int, ...]
    effort: str
    settings: dict[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self) -> dict[str, Any]:
        return plain({"schema": SCHEMA, **vars(self)}, "Plan.to_json()")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Raises InputError on another schema and on names that a plan does not have."""
        fields = {key: value for key, value in data.items() if key != "schema"}
        known = set(cls.__dataclass_fields__)
        problems = Problems("Plan.from_json(data)")
        if data.get("schema") != SCHEMA:
            problems.add(
                f"schema {data.get('schema')!r}", repr(SCHEMA), "open the bundle with the heldout that wrote it"
            )
        if set(fields) - known:
            problems.add(f"unknown names {sorted(set(fields) - known)}", f"{sorted(known)}", "remove them")
        if known - {"settings"} - set(fields):
            problems.add(f"missing names {sorted(known - {'settings'} - set(fields))}", f"{sorted(known)}", "add them")
        problems.raise_if_any()
        lists: dict[str, Any] = {name: tuple(fields[name]) for name in ("hypotheses", "sites", "seeds")}
        return cls(**{**fields, **lists})

    @property
    def digest(self) -> str:
        """`sha256:…` of the bytes of plan.json."""
        return sha256(self._bytes())

    def write(self, folder: Path) -> str:
        """Writes plan.json and plan.sha256 (the format of `sha256sum`), flushed to the disk. Returns the digest."""
        write_durably(folder / "plan.json", self._bytes())
        write_durably(folder / "plan.sha256", f"{self.digest.removeprefix('sha256:')}  plan.json\n".encode())
        return self.digest

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises InputError when plan.json is not the plan that was digested."""
        promised = (folder / "plan.sha256").read_text().split()[0]
        found = sha256((folder / "plan.json").read_bytes())
        if found != f"sha256:{promised}":
            called = f"Plan.read({str(folder)!r})"
            next_step = "do not rely on this bundle: the plan was changed after its digest was written"
            raise InputError(called, Problem(f"plan.json has the digest {found}", f"sha256:{promised}", next_step))
        return cls.from_json(read_json(folder / "plan.json"))

    def _bytes(self) -> bytes:
        return canonical_json(self.to_json(), indent=1)
