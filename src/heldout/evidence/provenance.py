"""Provenance: what was run on what, with which code and which arguments."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

import heldout.errors
from heldout.evidence.canonical import canonical_json, plain, sha256

SCHEMA = "heldout.provenance/1"
PACKAGES = (
    "heldout",
    "torch",
    "transformers",
    "safetensors",
    "tokenizers",
    "numpy",
    "scikit-learn",
    "scipy",
    "pyarrow",
)


@dataclass(frozen=True)
class Provenance:
    """Where a bundle comes from.

    `weights` and `data` map a role ("candidate", "baseline", "suite") to a digest, `names` maps it to what a person
    calls it. Times are UTC, ISO 8601. `repository` is the commit, and whether it is dirty, that heldout itself ran
    from; None for a release.
    """

    weights: dict[str, str]
    data: dict[str, str]
    names: dict[str, str]
    arguments_passed: dict[str, Any]
    arguments_resolved: dict[str, Any]
    seeds: tuple[int, ...]
    versions: dict[str, str | None]
    platform: dict[str, Any]
    repository: dict[str, Any] | None
    started: str
    finished: str | None = None
    plan_digest: str | None = None
    plan_written: str | None = None
    resumed_stages: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    cost: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def inputs_digest(self) -> str:
        """Equal for two runs of the same code on the same weights and data."""
        inputs = {"weights": self.weights, "data": self.data, "versions": self.versions, "repository": self.repository}
        return sha256(canonical_json(inputs))

    def to_json(self) -> dict[str, Any]:
        return plain({"schema": SCHEMA, **vars(self)}, "Provenance.to_json()")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        fields = {key: value for key, value in data.items() if key != "schema"}
        lists: dict[str, Any] = {name: tuple(fields.get(name, ())) for name in ("seeds", "resumed_stages", "notices")}
        return cls(**{**fields, **lists})

    def completed(self, **changes: Any) -> Self:
        """The same with `changes`, finished now."""
        return replace(self, finished=now(), **changes)


def gather_provenance(
    *,
    weights: Mapping[str, str],
    data: Mapping[str, str],
    arguments_passed: Mapping[str, Any],
    arguments_resolved: Mapping[str, Any],
    seeds: Sequence[int],
    names: Mapping[str, str] | None = None,
) -> Provenance:
    """Adds to what the caller knows (digests, arguments, seeds) what the machine knows (versions, platform, commit,
    time).
    """
    return Provenance(
        weights=dict(weights),
        data=dict(data),
        names=dict(names or {}),
        arguments_passed=plain(arguments_passed, "gather_provenance(arguments_passed=...)"),
        arguments_resolved=plain(arguments_resolved, "gather_provenance(arguments_resolved=...)"),
        seeds=tuple(seeds),
        versions={"python": platform.python_version(), **{package: _version(package) for package in PACKAGES}},
        platform={"system": platform.system(), "machine": platform.machine(), "cpus": os.cpu_count()},
        repository=repository_state(Path(heldout.errors.__file__)),
        started=now(),
    )


def repository_state(file: Path) -> dict[str, Any] | None:
    """`{"commit", "dirty"}` of the git checkout that tracks `file`; None where it is not tracked (an installed release,
    say).
    """
    folder = file.resolve().parent
    if _git(folder, "ls-files", "--error-unmatch", file.name) is None:
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    tracked = _git(folder, "status", "--porcelain", "--untracked-files=no")
    beside = _git(folder, "status", "--porcelain", "--", ".")
    return {"commit": commit.strip(), "dirty": bool(tracked) or bool(beside)}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
