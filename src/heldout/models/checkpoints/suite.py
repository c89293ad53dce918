"""The checkpoints of one training run or scale series, as one thing to measure along."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch

from heldout.errors import InputError, Problem
from heldout.models.checkpoints.checkpoint import Axis, Checkpoint, Loading
from heldout.models.checkpoints.checks import check_duplicates
from heldout.models.checkpoints.folder import folder_checkpoints
from heldout.models.checkpoints.hub import Hub, HuggingFaceHub, hub_checkpoints
from heldout.models.checkpoints.names import Names
from heldout.models.checkpoints.run import State, run_checkpoints
from heldout.models.checkpoints.selection import log_spaced_indices
from heldout.models.model import Model
from heldout.progress import Progress


@final
class CheckpointSuite:
    """Checkpoints whose steps rise and whose weights all differ. They are loaded when they are asked for.

    On the axis `size` the step of a checkpoint is its number of parameters."""

    def __init__(self, checkpoints: Sequence[Checkpoint], *, axis: Axis = "step", name: str = "checkpoints") -> None:
        """Of checkpoints from one of the `from_` methods, whose steps rise."""
        self.checkpoints = tuple(checkpoints)
        self.axis: Axis = axis
        self.name = name

    @classmethod
    def from_folder(
        cls,
        folder: str | os.PathLike[str],
        *,
        axis: Axis | None = None,
        names: Names = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        allow_remote_code: bool = False,
        progress: Progress | None = None,
    ) -> CheckpointSuite:
        """Hugging Face folders in a folder: `step-000010`, `step10`, `checkpoint-10` in the order of their numbers, or
        with `axis="size"` any names in the order of their numbers of parameters. `names` is a pattern or a list.

        The weights are hashed at the first time, and `manifest.json` in the folder remembers what they are. Raises
        InputError with everything that is missing, unreadable, changed, of equal step or of equal weights."""
        called = f"CheckpointSuite.from_folder({os.fspath(folder)!r})"
        loading = Loading(device, dtype, allow_remote_code)
        found, axis = folder_checkpoints(called, Path(folder), axis, names, loading, progress)
        check_duplicates(called, found)
        return cls(found, axis=axis, name=Path(folder).resolve().name)

    @classmethod
    def from_hub(
        cls,
        repo: str,
        *,
        revisions: Names = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        allow_remote_code: bool = False,
        hub: Hub | None = None,
    ) -> CheckpointSuite:
        """Revisions of a repository whose names have a step (`step1000`, `stage1-step1000-tokens5B`), all of them or
        those of a pattern or a list. Weights are downloaded when a checkpoint is loaded, and not before.

        Raises InputError with everything that is missing, of equal step or of equal weights files."""
        called = f"CheckpointSuite.from_hub({repo!r})"
        loading = Loading(device, dtype, allow_remote_code)
        found = hub_checkpoints(called, repo, revisions, hub or HuggingFaceHub(), loading)
        check_duplicates(called, found)
        return cls(found, name=repo)

    @classmethod
    def from_run(
        cls,
        run: Mapping[int, Model | State] | Mapping[str, Model | State],
        *,
        axis: Axis = "step",
        like: Model | None = None,
        name: str = "run",
    ) -> CheckpointSuite:
        """Models in memory by their steps, or with `axis="size"` by names. State dicts become models `like` that one.

        Raises InputError with every step that does not rise, state that does not fit, and group of equal weights."""
        called = f"CheckpointSuite.from_run({len(run)} checkpoints)"
        found = run_checkpoints(called, run, axis, like)
        check_duplicates(called, found)
        return cls(found, axis=axis, name=name)

    def __repr__(self) -> str:
        steps = f"{self.steps[0]} to {self.steps[-1]}" if self.checkpoints else "none"
        return f"CheckpointSuite({self.name!r}, {len(self)} checkpoints, {self.axis} {steps})"

    def __len__(self) -> int:
        return len(self.checkpoints)

    def __iter__(self) -> Iterator[Checkpoint]:
        return iter(self.checkpoints)

    @property
    def steps(self) -> tuple[int, ...]:
        return tuple(checkpoint.step for checkpoint in self.checkpoints)

    @property
    def digest(self) -> str:
        """`sha256:...` over axis, steps and digests."""
        lines = [self.axis, *(f"{checkpoint.step} {checkpoint.digest}" for checkpoint in self)]
        return f"sha256:{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"

    def models(self) -> Generator[tuple[Checkpoint, Model]]:
        """Each checkpoint with its model, one resident at a time: the weights of a model are given back before the next
        is loaded, also where the caller still refers to it."""
        for checkpoint in self.checkpoints:
            with checkpoint.resident() as model:
                yield checkpoint, model

    def at(self, step: int) -> Checkpoint:
        return self.select([step]).checkpoints[0]

    def select(self, steps: Sequence[int]) -> CheckpointSuite:
        """The suite of these steps only, rising. Raises InputError with every step that is not there."""
        absent = [step for step in steps if step not in self.steps]
        if absent:
            called = f"CheckpointSuite.select({list(steps)})"
            found = Problem(
                f"no checkpoint at {', '.join(map(str, absent))}",
                f"steps of the suite, the nearest being {', '.join(str(self._nearest(step)) for step in absent)}",
                "choose among suite.steps",
            )
            raise InputError(called, found)
        wanted = set(steps)
        return self._with([checkpoint for checkpoint in self if checkpoint.step in wanted])

    def log_spaced(self, n: int) -> CheckpointSuite:
        """`n` checkpoints, always the first and the last, at about equal distances of log(1 + step). The rule is that of
        `heldout.models.checkpoints.selection.log_spaced_indices`."""
        return self._with([self.checkpoints[index] for index in log_spaced_indices(self.steps, n)])

    def _nearest(self, step: int) -> Any:
        return min(self.steps, key=lambda there: abs(there - step), default="none")

    def _with(self, checkpoints: Sequence[Checkpoint]) -> CheckpointSuite:
        return CheckpointSuite(checkpoints, axis=self.axis, name=self.name)
