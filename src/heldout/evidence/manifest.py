"""The manifest of a bundle: the SHA-256 and size of every file, so that a change or a loss is seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from heldout.errors import Problem
from heldout.evidence.canonical import canonical_json, sha256_of_file, write_durably

SCHEMA = "heldout.manifest/1"
ATTESTATIONS = "attestations"
MANIFEST = f"{ATTESTATIONS}/manifest.json"


def bundle_files(folder: Path) -> list[str]:
    """Paths, with forward slashes, of every file of the bundle but those in attestations/."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return sorted(path for path in paths if not path.startswith(f"{ATTESTATIONS}/"))


def write_manifest(folder: Path) -> None:
    files = {path: _record(folder / path) for path in bundle_files(folder)}
    write_durably(folder / MANIFEST, canonical_json({"schema": SCHEMA, "files": files}, indent=1))


def record_file(folder: Path, path: str) -> None:
    """Takes one new or changed file of a bundle into its manifest."""
    manifest = read_manifest(folder)
    manifest["files"][path] = _record(folder / path)
    write_durably(folder / MANIFEST, canonical_json(manifest, indent=1))


def read_manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST).read_bytes())


def manifest_problems(folder: Path) -> list[Problem]:
    """Every file that is missing, changed or not listed.

    An empty list says that the bundle is the one that was written.
    """
    next_step = "ask for the bundle again, or make it again; do not rely on this copy"
    if not (folder / MANIFEST).is_file():
        return [Problem(f"{MANIFEST} is missing", "a manifest in every finished bundle", next_step)]
    listed: dict[str, Any] = read_manifest(folder)["files"]
    present = bundle_files(folder)
    problems = [
        Problem(f"{path} is missing", "every file of the manifest", next_step)
        for path in sorted(set(listed) - set(present))
    ]
    for path in present:
        if path not in listed:
            problems.append(
                Problem(
                    f"{path} is not in the manifest",
                    "files of the manifest only",
                    "remove it, or find out who added it",
                )
            )
        elif (folder / path).is_symlink():
            problems.append(Problem(f"{path} is a link", "plain files only", next_step))
        elif (found := sha256_of_file(folder / path)) != listed[path]["sha256"]:
            problems.append(Problem(f"{path} has the digest {found}", listed[path]["sha256"], next_step))
    return problems


def _record(path: Path) -> dict[str, Any]:
    return {"sha256": sha256_of_file(path), "bytes": path.stat().st_size}
