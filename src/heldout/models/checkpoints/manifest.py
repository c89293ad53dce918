"""`manifest.json` of a folder of checkpoints: what each one is, so that weights are hashed once.

An entry holds for as long as the sizes and times of its files do; otherwise the files are hashed again, and have to be
what the manifest says.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from heldout.errors import InputError, Problem, Problems
from heldout.models.checkpoints.checkpoint import Axis
from heldout.models.checkpoints.files import Stamps
from heldout.models.checkpoints.storage import write_whole

MANIFEST = "manifest.json"
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class Entry(BaseModel):
    """One checkpoint. `values` are parameters, width and depth; `files` have size and time of modification (ns)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    step: int
    values: dict[str, int]
    digest: str
    weights: str
    files: Stamps


class Manifest(BaseModel):
    """The entries rise by `step`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["heldout.checkpoints/1"] = "heldout.checkpoints/1"
    axis: Axis
    checkpoints: tuple[Entry, ...]

    def by_name(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.checkpoints}

    def with_entries(self, entries: Iterable[Entry]) -> Manifest:
        """With these entries in place of those of the same names."""
        merged = {**self.by_name(), **{entry.name: entry for entry in entries}}
        rising = sorted(merged.values(), key=lambda entry: (entry.step, entry.name))
        return Manifest(axis=self.axis, checkpoints=tuple(rising))


def read_manifest(called: str, folder: Path) -> Manifest | None:
    """None where there is none. Raises InputError for one that is not of this form."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        problem = Problem(
            f"a {MANIFEST} that cannot be used: {where}: {first['msg']}",
            f"the {MANIFEST} that a suite of checkpoints writes",
            "remove it, and it is written anew",
        )
        raise InputError(called, problem) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Nothing is written into a folder that is read-only: there the weights are hashed each time."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n"
    try:
        write_whole(folder / MANIFEST, text.encode())
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise


def agreed_axis(folder: Path, manifest: Manifest | None, asked: Axis | None, problems: Problems) -> Axis:
    if manifest is not None and asked not in (None, manifest.axis):
        problems.add(
            f"the axis {asked!r}, and {MANIFEST} has {manifest.axis!r}",
            "the axis that the checkpoints of this folder were saved along",
            f"leave the axis out, or remove {folder / MANIFEST}",
        )
    return asked or (manifest.axis if manifest is not None else "step")
