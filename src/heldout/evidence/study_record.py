"""The record of a study: a folder of tables, claims, figure and page, with the digest of every file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from heldout.errors import InputError, Problem, Problems
from heldout.evidence.canonical import canonical_json, read_json, write_durably
from heldout.evidence.claims import Claim, read_claims, write_claims
from heldout.evidence.manifest import MANIFEST, bundle_files, manifest_problems, read_manifest, write_manifest
from heldout.evidence.provenance import Provenance

CLAIMS, PROVENANCE = "claims.json", "provenance.json"


@dataclass(frozen=True)
class StudyRecord:
    """What a study left. Reading it needs neither the models nor torch."""

    path: Path

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Raises InputError that lists what a whole record has and `path` lacks."""
        folder = Path(path)
        problems = Problems(f"StudyRecord.open({str(path)!r})")
        for name in (CLAIMS, PROVENANCE, MANIFEST):
            if not (folder / name).is_file():
                problems.add(f"no {name}", "the folder that a study wrote", "name a finished study")
        problems.raise_if_any()
        return cls(folder)

    def claims(self) -> tuple[Claim, ...]:
        return read_claims(self.path / CLAIMS)

    def provenance(self) -> Provenance:
        return Provenance.from_json(read_json(self.path / PROVENANCE))

    def check_hashes(self) -> list[Problem]:
        """What differs from the manifest; then, whether claims and provenance can be read. Empty: nothing differs."""
        problems = manifest_problems(self.path)
        try:
            self.claims()
            self.provenance()
        except (InputError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            problems.append(Problem(str(error), "readable files", "make the study again"))
        return problems


def is_study(folder: Path) -> bool:
    """Whether the manifest lists claims and no plan, as that of a study does; without a list, whether there are such
    files."""
    if not (folder / MANIFEST).is_file():
        return False
    try:
        names = set(read_manifest(folder)["files"])
    except (ValueError, KeyError, TypeError):
        names = set(bundle_files(folder))
    return CLAIMS in names and "plan.json" not in names


def seal_study(folder: Path, claims: Iterable[Claim], provenance: Provenance) -> StudyRecord:
    """Writes claims and provenance beside the files of a study, and digests every file in the folder."""
    write_claims(folder / CLAIMS, tuple(claims))
    write_durably(folder / PROVENANCE, canonical_json(provenance.completed().to_json(), indent=1))
    write_manifest(folder)
    return StudyRecord.open(folder)
