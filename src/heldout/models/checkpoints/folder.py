"""Checkpoints in a folder: one Hugging Face folder for each step, or for each size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from heldout.errors import InputError, Problem, Problems
from heldout.models.checkpoints.checkpoint import Axis, Checkpoint, Loading, empty
from heldout.models.checkpoints.checks import check_distinct_steps
from heldout.models.checkpoints.files import Stamps, has_tokenizer, read_values, stamps, weights_digest
from heldout.models.checkpoints.manifest import (
    MANIFEST,
    Entry,
    Manifest,
    agreed_axis,
    read_manifest,
    write_manifest,
)
from heldout.models.checkpoints.names import Names, chosen_names, step_of
from heldout.models.checkpoints.optimisers import read_optimiser
from heldout.models.digests import folder_digest
from heldout.models.loading import load
from heldout.models.model import Model
from heldout.progress import Progress


@final
@dataclass(frozen=True)
class FolderPlace:
    """`files` are the sizes and times of the files whose digest is known."""

    folder: Path
    tokenizer_folder: Path
    files: Stamps
    loading: Loading

    def load(self) -> Model:
        if stamps(self.folder) != self.files:
            found = Problem(
                "files that were changed since the suite was opened", "the files that were hashed", "open it again"
            )
            raise InputError(f"Checkpoint.load() of {self.folder}", found)
        return load(
            self.folder,
            device=self.loading.device,
            dtype=self.loading.dtype,
            allow_remote_code=self.loading.allow_remote_code,
            tokenizer_folder=self.tokenizer_folder,
        )

    def release(self, model: Model) -> None:
        empty(model)

    def optimiser_state(self) -> Any:
        return read_optimiser(self.folder)


def folder_checkpoints(
    called: str, folder: Path, axis: Axis | None, names: Names, loading: Loading, progress: Progress | None
) -> tuple[list[Checkpoint], Axis]:
    """The checkpoints of a folder and their axis. What can be seen without hashing is reported first, all at once."""
    problems = Problems(called)
    if not folder.is_dir():
        problems.add(f"no folder {folder}", "a folder of checkpoints", "correct the path")
        problems.raise_if_any()
    manifest = read_manifest(called, folder)
    axis = agreed_axis(folder, manifest, axis, problems)
    there = list_names(folder, axis)
    report_missing(manifest, there, names, problems)
    chosen = chosen_names(there, names, problems)
    values = {name: read_values(folder / name, problems) for name in chosen}
    steps = {name: step_of(name) or 0 if axis == "step" else values[name]["parameters"] for name in chosen}
    check_tokenizers(folder, chosen, problems)
    if axis == "step" or not problems.found:  # what cannot be read has no size
        check_distinct_steps(list(steps.items()), axis, problems)
    if not chosen and not problems.found:
        report_nothing(folder, axis, problems)
    problems.raise_if_any()
    manifest = manifest or Manifest(axis=axis, checkpoints=())
    entries = hashed(called, folder, manifest, [(name, steps[name], values[name]) for name in chosen], progress)
    updated = manifest.with_entries(entries)
    if updated != manifest:
        write_manifest(folder, updated)
    return [to_checkpoint(folder, entry, loading) for entry in sorted(entries, key=lambda entry: entry.step)], axis


def list_names(folder: Path, axis: Axis) -> list[str]:
    """Names with a step; on the axis of size every folder with a config. Hidden folders are not finished."""
    inside = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if axis == "step":
        return [name for name in inside if step_of(name) is not None]
    return [name for name in inside if (folder / name / "config.json").is_file()]


def report_missing(manifest: Manifest | None, there: Sequence[str], names: Names, problems: Problems) -> None:
    recorded = [entry.name for entry in manifest.checkpoints] if manifest is not None else []
    gone = [name for name in chosen_names(recorded, names, Problems("")) if name not in there]
    if gone:
        problems.add(
            f"no {', '.join(gone)}",
            f"every checkpoint that {MANIFEST} lists",
            f"copy what is missing, or take it out of {MANIFEST}",
        )


def report_nothing(folder: Path, axis: Axis, problems: Problems) -> None:
    inside = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
    expected = "folders like step-000010 or checkpoint-10" if axis == "step" else "Hugging Face folders"
    problems.add(f"no checkpoints in {folder}, but {inside}", expected, "name the folder that holds them")


def check_tokenizers(folder: Path, names: Sequence[str], problems: Problems) -> None:
    without = [name for name in names if not has_tokenizer(folder / name)]
    if without and not has_tokenizer(folder):
        problems.add(
            f"no tokenizer in {', '.join(without)}, nor in {folder}",
            "a tokenizer in each checkpoint, or once in the folder",
            f"tokenizer.save_pretrained({str(folder)!r})",
        )


def hashed(
    called: str,
    folder: Path,
    manifest: Manifest,
    listed: Sequence[tuple[str, int, dict[str, int]]],
    progress: Progress | None,
) -> list[Entry]:
    """An entry for each; raises InputError with all whose files are not what the manifest recorded."""
    recorded, problems, entries = manifest.by_name(), Problems(called), list[Entry]()
    for done, (name, step, values) in enumerate(listed, start=1):
        before = recorded.get(name)
        entry = before if before is not None and before.files == stamps(folder / name) else None
        entry = entry or hash_checkpoint(folder / name, step, values)
        if before is not None and (before.digest, before.weights) != (entry.digest, entry.weights):
            problems.add(
                f"{name} is {entry.digest}",
                f"{before.digest}, which {MANIFEST} recorded",
                f"restore it, or take it out of {MANIFEST} if it was meant to change",
            )
        entries.append(entry)
        if progress is not None:
            progress(f"hashed {name}", done, len(listed))
    problems.raise_if_any()
    return entries


def hash_checkpoint(folder: Path, step: int, values: dict[str, int]) -> Entry:
    """The stamps are taken before the files are read: what changes meanwhile is hashed again."""
    files = stamps(folder)
    digests = {"digest": folder_digest(folder), "weights": weights_digest(folder)}
    return Entry(name=folder.name, step=step, values=values, files=files, **digests)


def to_checkpoint(folder: Path, entry: Entry, loading: Loading) -> Checkpoint:
    own = folder / entry.name
    place = FolderPlace(own, own if has_tokenizer(own) else folder, entry.files, loading)
    return Checkpoint(entry.step, entry.name, entry.digest, entry.weights, place, entry.values)
