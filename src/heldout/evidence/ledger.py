"""The ledger: the append-only record of which instruments were used for what, on which lineage of models.

A file of one JSON entry a line beside the runs. Each entry carries the hash of the one before it, so that an entry
cannot be changed, removed or put in between unseen. Cutting off the last entries can be seen only with a copy of a
later `head()`.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, Self

from heldout.errors import InputError, Problem, Problems
from heldout.evidence.canonical import canonical_json, sha256
from heldout.evidence.provenance import now

SCHEMA = "heldout.ledger/1"
GENESIS = "sha256:" + "0" * 64
USES = ("fit", "select", "train", "test")

Use = Literal["fit", "select", "train", "test"]
State = Literal["fresh", "queried", "selected-on", "trained-on"]


@dataclass(frozen=True)
class Instrument:
    """A technique of a `family` fitted for a `concept` at a `site` on the data of digest `data`."""

    concept: str
    site: str
    family: str
    data: str

    @property
    def spending_class(self) -> tuple[str, str, str]:
        """What is spent together: a twin that was fitted on other data is as spent as the instrument itself."""
        return (self.concept, self.site, self.family)


@dataclass(frozen=True)
class Entry:
    """One use of an instrument.

    `lineage` holds weight digests, the model's first and then its parents'; `time` is UTC.
    """

    sequence: int
    instrument: Instrument
    use: Use
    lineage: tuple[str, ...]
    data: tuple[str, ...]
    time: str
    note: str | None
    previous: str
    hash: str

    @classmethod
    def follow(
        cls,
        previous: Entry | None,
        instrument: Instrument,
        use: Use,
        lineage: Sequence[str],
        data: Sequence[str],
        note: str | None,
    ) -> Entry:
        sequence, chained = (previous.sequence + 1, previous.hash) if previous else (0, GENESIS)
        unhashed = cls(sequence, instrument, use, tuple(lineage), tuple(data), now(), note, chained, "")
        return replace(unhashed, hash=unhashed.expected_hash)

    @property
    def expected_hash(self) -> str:
        return sha256(canonical_json({key: value for key, value in self.to_json().items() if key != "hash"}))

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **vars(self), "instrument": vars(self.instrument)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        fields = {key: value for key, value in data.items() if key != "schema"}
        parsed: dict[str, Any] = {
            "instrument": Instrument(**data["instrument"]),
            "lineage": tuple(data["lineage"]),
            "data": tuple(data["data"]),
        }
        return cls(**{**fields, **parsed})


@dataclass(frozen=True)
class Status:
    """How far an instrument is spent. `queries` counts tests; `spent_by` is the entry that spent it, if one did."""

    state: State
    queries: int = 0
    spent_by: Entry | None = None

    @property
    def spent(self) -> bool:
        return self.spent_by is not None

    def __str__(self) -> str:
        return f"queried({self.queries})" if self.state == "queried" else self.state


class Ledger:
    """The ledger in the file `path`; a file that does not exist is an empty ledger. Final."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def beside(cls, run: str | Path) -> Self:
        """`ledger.jsonl` in the folder that holds the run."""
        return cls(Path(run).absolute().parent / "ledger.jsonl")

    def append(
        self,
        instrument: Instrument,
        use: Use,
        *,
        lineage: Sequence[str],
        data: Sequence[str] = (),
        note: str | None = None,
    ) -> Entry:
        """Adds an entry and flushes it to the disk; processes that append at the same time wait for each other.

        Raises InputError on an unknown use, an empty lineage, or a last entry that is broken.
        """
        problems = Problems(f"Ledger({str(self.path)!r}).append(...)")
        if use not in USES:
            problems.add(f"the use {use!r}", f"one of {', '.join(USES)}", "name what the instrument was used for")
        if not lineage or isinstance(lineage, str):
            problems.add(
                f"the lineage {lineage!r}", "weight digests, the model's first", "pass (model.digest, *parents)"
            )
        problems.raise_if_any()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            entry = Entry.follow(self._last(file), instrument, use, lineage, data, note)
            file.write(canonical_json(entry.to_json()))
            file.flush()
            os.fsync(file.fileno())
        return entry

    def read(self) -> tuple[Entry, ...]:
        """Every entry, oldest first. Raises InputError at the first broken one: a broken ledger is no record."""
        entries, problem = self._verified()
        if problem is not None:
            raise InputError(f"Ledger({str(self.path)!r}).read()", problem)
        return entries

    def check(self) -> Problem | None:
        """The first broken entry, or None."""
        return self._verified()[1]

    def head(self) -> str:
        """The hash of the last entry.

        Kept elsewhere (a bundle's provenance, say) it shows later that nothing was cut off.
        """
        entries = self.read()
        return entries[-1].hash if entries else GENESIS

    def status(self, instrument: Instrument, lineage: Sequence[str] | None = None) -> Status:
        """How far the class of `instrument` is spent, on models that share a digest with `lineage` (on all models
        without it).
        """
        uses = [entry for entry in self.read() if entry.instrument.spending_class == instrument.spending_class]
        if lineage is not None:
            uses = [entry for entry in uses if set(entry.lineage) & set(lineage)]
        queries = sum(entry.use == "test" for entry in uses)
        spenders: tuple[tuple[Use, State], ...] = (("train", "trained-on"), ("select", "selected-on"))
        for use, state in spenders:
            spending = next((entry for entry in uses if entry.use == use), None)
            if spending is not None:
                return Status(state, queries, spending)
        return Status("queried", queries) if queries else Status("fresh")

    def _last(self, file: IO[bytes]) -> Entry | None:
        """The last entry, found from the end of the file, so that appending costs the same in a long ledger."""
        size = file.seek(0, os.SEEK_END)
        tail, block = b"", 1 << 14
        while size and tail.count(b"\n") < 2:
            step = min(block, size)
            size -= step
            file.seek(size)
            tail = file.read(step) + tail
        if not tail:
            return None
        entry, found = _parse(tail.split(b"\n")[-2] + b"\n" if tail.endswith(b"\n") else tail)
        if entry is None:
            next_step = "run `heldout ledger check`, and keep the file: a broken ledger cannot be added to"
            raise InputError(
                f"Ledger({str(self.path)!r}).append(...)",
                Problem(f"the last entry {found}", "a whole entry", next_step),
            )
        return entry

    def _verified(self) -> tuple[tuple[Entry, ...], Problem | None]:
        if not self.path.exists():
            return (), None
        with self.path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            lines = file.read().splitlines(keepends=True)
        entries: list[Entry] = []
        for number, line in enumerate(lines):
            entry, found = _parse(line)
            previous = entries[-1].hash if entries else GENESIS
            if entry is not None and entry.sequence != number:
                found = f"has the sequence number {entry.sequence}"
            elif entry is not None and entry.previous != previous:
                found = f"follows {entry.previous}, and the entry before it is {previous}"
            if found is not None or entry is None:
                next_step = "do not count on this entry or on any after it; compare with a copy"
                return tuple(entries), Problem(
                    f"entry {number} (line {number + 1}) {found}", "an unbroken chain of entries", next_step
                )
            entries.append(entry)
        return tuple(entries), None


def _parse(line: bytes) -> tuple[Entry | None, str | None]:
    """The entry of a line, or what is wrong with it."""
    try:
        entry = Entry.from_json(json.loads(line))
    except (ValueError, KeyError, TypeError):
        return None, "cannot be read"
    if not line.endswith(b"\n"):
        return None, "is cut off"
    if entry.hash != entry.expected_hash or line != canonical_json(entry.to_json()):
        return None, "does not have the hash that it states"
    return entry, None
