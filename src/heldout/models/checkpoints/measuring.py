"""The same measurement at every checkpoint, kept as it goes: what is finished is never computed again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from heldout.errors import HeldoutError, InputError, Problem
from heldout.models.checkpoints.checkpoint import Checkpoint
from heldout.models.checkpoints.storage import write_whole
from heldout.models.checkpoints.suite import CheckpointSuite
from heldout.progress import Progress


@final
@dataclass(frozen=True)
class Cell:
    """What a function returned at one checkpoint, as JSON holds it."""

    step: int
    name: str
    digest: str
    value: Any


class CellsFailed(HeldoutError):  # noqa: N818  what happened, in the words of the project
    """Some cells could not be computed. `finished` are those that could, and are kept; `failed` are the exceptions, by
    the names of their checkpoints."""

    def __init__(self, called: str, finished: tuple[Cell, ...], failed: Mapping[str, Exception]) -> None:
        self.called, self.finished, self.failed = called, finished, dict(failed)
        which = "; ".join(f"{name}: {type(error).__name__}: {error}" for name, error in failed.items())
        problem = Problem(
            f"{len(failed)} of {len(finished) + len(failed)} checkpoints failed: {which}",
            "a value that JSON can hold at every checkpoint",
            "mend the cause and call again: the finished cells are kept",
        )
        super().__init__(f"{called}\n{problem}")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.called, self.finished, self.failed))


def measure_along(
    suite: CheckpointSuite,
    function: Callable[..., Any],
    out: str | os.PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[Cell, ...]:
    """`function(model, checkpoint, **settings)` at every checkpoint, one model resident at a time, in the suite's order.

    Each value is written into `out` when it is there, under the checkpoint's digest, the function's name and the digest
    of the settings; a call that finds it reads it, without loading the model. The code of the function is not part of
    the key: give a changed function another name, or another folder. A checkpoint that fails does not stop the others.

    Raises InputError for a function without a name of its own and settings that JSON cannot hold; at the end CellsFailed
    where some cells failed."""
    settings = dict(settings or {})
    called = f"measure_along({suite.name!r}, {getattr(function, '__qualname__', function)})"
    key = cell_key(called, function, settings)
    cells: dict[str, Cell] = {}
    failed: dict[str, Exception] = {}
    for done, checkpoint in enumerate(suite):
        if progress is not None:
            progress(f"measuring {checkpoint.name}", done, len(suite))
        try:
            cells[checkpoint.name] = cell(checkpoint, function, settings, key, Path(out))
        except Exception as error:  # whatever the function raises is reported with the rest
            failed[checkpoint.name] = error
    if progress is not None:
        progress("measured", len(suite), len(suite))
    finished = tuple(cells.values())
    if failed:
        raise CellsFailed(called, finished, failed)
    return finished


def cell(
    checkpoint: Checkpoint, function: Callable[..., Any], settings: dict[str, Any], key: dict[str, Any], out: Path
) -> Cell:
    """The cell that is kept, or else a new one."""
    path = out / folder_name(key) / f"{checkpoint.digest.removeprefix('sha256:')}.json"
    if path.is_file():
        return kept_cell(path, checkpoint, key)
    with checkpoint.resident() as model:
        value = function(model, checkpoint, **settings)
    measured = Cell(checkpoint.step, checkpoint.name, checkpoint.digest, json.loads(plain_json(value)))
    write_whole(path, plain_json({**key, **measured.__dict__}).encode())
    return measured


def kept_cell(path: Path, checkpoint: Checkpoint, key: dict[str, Any]) -> Cell:
    """Step and name are those that the checkpoint has now. Raises InputError for a file that is of something else."""
    try:
        content = json.loads(path.read_bytes())
        found = {name: content[name] for name in ("digest", *key)}
        value = content["value"]
    except (ValueError, KeyError, TypeError) as error:
        found, value = {"error": repr(error)}, None
    if found != {"digest": checkpoint.digest, **key}:
        problem = Problem(f"{path} holds {found}", "the cell that was written there", "remove that file")
        raise InputError(f"measure_along at {checkpoint.name}", problem)
    return replace(Cell(0, "", checkpoint.digest, value), step=checkpoint.step, name=checkpoint.name)


def cell_key(called: str, function: Callable[..., Any], settings: dict[str, Any]) -> dict[str, Any]:
    """What is measured: the function's name and its settings."""
    name = getattr(function, "__qualname__", None)
    if name is None or "<lambda>" in name:
        found = Problem(
            f"{function!r}, which has no name of its own",
            "a function that was defined under a name, as finished cells are kept under it",
            "define it with def; what varies goes into settings",
        )
        raise InputError(called, found)
    try:
        return {"function": f"{function.__module__}.{name}", "settings": json.loads(plain_json(settings))}
    except (TypeError, ValueError) as error:
        found = Problem(f"settings that JSON cannot hold: {error}", "numbers, text, lists and mappings", "pass those")
        raise InputError(called, found) from error


def folder_name(key: dict[str, Any]) -> str:
    """Readable, and different for different keys."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    readable = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in key["function"])
    return f"{readable[-100:]}-{digest[:16]}"


def plain_json(value: Any) -> str:
    """Raises TypeError or ValueError for what JSON cannot hold, NaN and infinity included."""
    return json.dumps(value, allow_nan=False, indent=1)
