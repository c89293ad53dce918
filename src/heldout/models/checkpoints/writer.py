"""Saves the checkpoints of a run, so that a killed one leaves whole checkpoints and no others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch

from heldout.errors import InputError, Problem, Problems
from heldout.models.checkpoints.checkpoint import Axis
from heldout.models.checkpoints.files import has_tokenizer, read_values
from heldout.models.checkpoints.folder import hash_checkpoint, list_names
from heldout.models.checkpoints.manifest import Manifest, agreed_axis, read_manifest, write_manifest
from heldout.models.checkpoints.names import step_of
from heldout.models.checkpoints.optimisers import save_optimiser
from heldout.models.checkpoints.storage import whole_folder
from heldout.models.model import Model
from heldout.models.quiet_saving import save_quietly


@final
class CheckpointWriter:
    """Writes what `CheckpointSuite.from_folder` reads. What is in the folder already stays: a run that is begun again
    asks `steps` where to go on."""

    def __init__(self, folder: str | os.PathLike[str], axis: Axis = "step") -> None:
        """Raises InputError where the folder holds checkpoints along the other axis."""
        self.folder = Path(folder)
        self.axis: Axis = axis
        called = f"CheckpointWriter({os.fspath(folder)!r}, axis={axis!r})"
        problems = Problems(called)
        agreed_axis(self.folder, read_manifest(called, self.folder), axis, problems)
        problems.raise_if_any()
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def names(self) -> tuple[str, ...]:
        """The folders that are whole."""
        return tuple(list_names(self.folder, self.axis))

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that are whole, rising; none on the axis of size, where names say what is there."""
        return tuple(sorted(step_of(name) or 0 for name in self.names)) if self.axis == "step" else ()

    def save(
        self,
        step: int | str,
        model: Any,
        *,
        tokenizer: Any = None,
        optimiser: torch.optim.Optimizer | Mapping[str, Any] | None = None,
    ) -> Path:
        """Saves a `heldout.Model`, or a model of transformers, under its step, or on the axis of size under its name.
        Returns the folder. The tokenizer is the model's own unless one is given.

        Raises InputError where that step is there, and where there is no tokenizer."""
        called = f"CheckpointWriter.save({step!r})"
        module, tokenizer = parts(model, tokenizer)
        folder = self.folder / self._name(called, step)
        self._check(called, folder, module, tokenizer)
        with whole_folder(folder) as partial:
            save_quietly(module, partial)
            if tokenizer is not None:
                tokenizer.save_pretrained(partial)
            if optimiser is not None:
                save_optimiser(optimiser, partial)
        self._record(called, folder)
        return folder

    def _name(self, called: str, step: int | str) -> str:
        if self.axis == "size" and isinstance(step, str) and Path(step).name == step and not step.startswith("."):
            return step
        if self.axis == "step" and isinstance(step, int) and not isinstance(step, bool) and step >= 0:
            return f"step-{step:06d}"
        expected = "a whole number, 0 or more" if self.axis == "step" else "the name of a folder, like width-128"
        raise InputError(called, Problem(f"{step!r} on the axis {self.axis}", expected, "pass one of that kind"))

    def _check(self, called: str, folder: Path, module: Any, tokenizer: Any) -> None:
        problems = Problems(called)
        there = step_of(folder.name) in self.steps if self.axis == "step" else folder.exists()
        if there:
            problems.add(
                f"{folder.name} is there", "a checkpoint that is not saved yet", "skip it, or remove its folder"
            )
        if not hasattr(module, "save_pretrained"):
            kind = type(module).__name__
            problems.add(f"a {kind}, which cannot be saved", "a model of transformers", "convert it to one first")
        if tokenizer is None and not has_tokenizer(self.folder):
            problems.add("no tokenizer", "a tokenizer, as models are loaded with one", "pass tokenizer=")
        problems.raise_if_any()

    def _record(self, called: str, folder: Path) -> None:
        """Another writer may have written the manifest meanwhile: it is read again."""
        problems = Problems(called)
        values = read_values(folder, problems)
        problems.raise_if_any()
        step = step_of(folder.name) if self.axis == "step" else None
        entry = hash_checkpoint(folder, values["parameters"] if step is None else step, values)
        manifest = read_manifest(called, self.folder) or Manifest(axis=self.axis, checkpoints=())
        write_manifest(self.folder, manifest.with_entries([entry]))


def parts(model: Any, tokenizer: Any) -> tuple[Any, Any]:
    """What is saved of a model: the module, and a tokenizer."""
    if isinstance(model, Model):
        return model.module, tokenizer if tokenizer is not None else model.tokenizer
    return model, tokenizer
