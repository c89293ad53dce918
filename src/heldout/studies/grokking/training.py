"""Trains a model by a recipe, keeps its checkpoints, and goes on where it was interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast, final

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from heldout.errors import InputError, Problem
from heldout.evidence.canonical import canonical_json, read_json, write_durably
from heldout.execution.threads import one_thread_if_small
from heldout.models import CheckpointSuite
from heldout.models.plain_transformer import PlainTransformer
from heldout.progress import Progress
from heldout.studies.grokking.fast_path import sum_logits
from heldout.studies.grokking.losses import prompt_losses
from heldout.studies.grokking.recipe import Recipe

RECIPE = "recipe.json"
CHECKPOINTS = "checkpoints"
UNFINISHED = "unfinished.safetensors"
BETAS = (0.9, 0.98)
MOMENTS = ("exp_avg", "exp_avg_sq")


@final
class Training:
    """A model on its way. `advance` trains it; `tensors` are all that is needed to go on elsewhere."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe = recipe
        self.step = 0
        task = recipe.task(seed)
        self._pairs, self._sums = task.pairs[task.trained], task.sums[task.trained]
        self.module = cast("PlainTransformer", recipe.untrained(seed).module).requires_grad_(True)
        self._optimiser = torch.optim.AdamW(
            self.module.parameters(), betas=BETAS, eps=recipe.epsilon, weight_decay=recipe.weight_decay, fused=True
        )

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            for group in self._optimiser.param_groups:
                group["lr"] = self.recipe.learning_rate_at(self.step)
            loss = prompt_losses(sum_logits(self.module, self._pairs), self._sums).mean()
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
            self.step += 1

    @property
    def weights(self) -> dict[str, Tensor]:
        return {name: weight.detach() for name, weight in self.module.named_parameters()}

    def tensors(self) -> dict[str, Tensor]:
        """Weights, and the optimiser's running moments."""
        moments = {
            f"{moment}.{name}": self._optimiser.state[weight][moment]
            for name, weight in self.module.named_parameters()
            if weight in self._optimiser.state
            for moment in MOMENTS
        }
        return {**{f"weight.{name}": weight for name, weight in self.weights.items()}, **moments}

    def restore(self, step: int, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        self.step = step
        for name, weight in self.module.named_parameters():
            weight.data.copy_(tensors[f"weight.{name}"])
            if step:
                state: dict[str, Any] = {moment: tensors[f"{moment}.{name}"] for moment in MOMENTS}
                self._optimiser.state[weight] = {"step": torch.tensor(float(step)), **state}


def trained(recipe: Recipe, seed: int, folder: Path, progress: Progress | None = None) -> CheckpointSuite:
    """The checkpoints of a run in `folder`, trained as far as they are not there.

    A run that was interrupted goes on at its last checkpoint, to the same weights. `progress` is told how many
    checkpoints there are. Raises InputError where the folder holds a run of another recipe or seed."""
    _claim(folder, recipe, seed)
    pending = [step for step in recipe.kept_steps if not _file(folder, step).is_file()]
    if pending:
        _train(_begun(recipe, seed, folder, pending[0]), pending, folder, progress)
    (folder / UNFINISHED).unlink(missing_ok=True)
    states = {step: load_file(_file(folder, step)) for step in recipe.kept_steps}
    return CheckpointSuite.from_run(states, like=recipe.untrained(seed), name=f"seed-{seed}")


def _claim(folder: Path, recipe: Recipe, seed: int) -> None:
    """Says whose run the folder holds, or finds that it is this one."""
    own, path = {**recipe.to_json(), "seed": seed}, folder / RECIPE
    if not path.is_file():
        write_durably(path, canonical_json(own, indent=1))
        return
    there = read_json(path)
    if there != own:
        differing = [f"{name} {there.get(name)}" for name, value in own.items() if there.get(name) != value]
        problem = Problem(
            f"{folder} holds a run with {', '.join(differing)}",
            f"a run with {', '.join(f'{name} {value}' for name, value in own.items() if there.get(name) != value)}",
            "name another folder, or remove this one",
        )
        raise InputError("train", problem)


def _begun(recipe: Recipe, seed: int, folder: Path, first: int) -> Training:
    """The training where it stopped, if that is not behind the `first` checkpoint that is missing; else a new one."""
    training, path = Training(recipe, seed), folder / UNFINISHED
    if path.is_file():
        with safe_open(path, framework="pt") as file:
            step = int(file.metadata()["step"])
        if step <= first:
            training.restore(step, load_file(path))
    return training


def _train(training: Training, pending: list[int], folder: Path, progress: Progress | None) -> None:
    with one_thread_if_small(sum(weight.numel() for weight in training.weights.values())):
        count = training.recipe.checkpoints
        for place, step in enumerate(pending, count - len(pending)):
            if progress is not None:
                progress("training", place, count)
            training.advance(step - training.step)
            write_durably(_file(folder, step), save(training.weights))
            write_durably(folder / UNFINISHED, save(training.tensors(), metadata={"step": str(step)}))


def _file(folder: Path, step: int) -> Path:
    return folder / CHECKPOINTS / f"step-{step:06d}.safetensors"
