"""Checkpoints in memory: the models of a run, or their state dicts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from heldout.errors import Problems
from heldout.models.checkpoints.checkpoint import Axis, Checkpoint, empty
from heldout.models.checkpoints.checks import check_distinct_steps
from heldout.models.checkpoints.files import first_line, state_digest
from heldout.models.digests import module_digest
from heldout.models.model import Model

State = Mapping[str, Tensor]


@final
@dataclass(frozen=True)
class ModelPlace:
    """A model that somebody else holds."""

    model: Model

    def load(self) -> Model:
        return self.model

    def release(self, model: Model) -> None:
        """It stays whole."""

    def optimiser_state(self) -> Any:
        return None


@final
@dataclass(frozen=True)
class StatePlace:
    """Weights for a copy of `like`."""

    name: str
    state: State
    like: Model

    def load(self) -> Model:
        module = copy.deepcopy(self.like.module)
        module.load_state_dict(self.state)
        return Model(module, self.like.tokenizer, name=self.name, architecture=self.like.architecture)

    def release(self, model: Model) -> None:
        empty(model)

    def optimiser_state(self) -> Any:
        return None


def run_checkpoints(called: str, run: Mapping[Any, Model | State], axis: Axis, like: Model | None) -> list[Checkpoint]:
    """Keys are steps in the order of training, or on the axis of size any names. Problems of all are raised at once."""
    problems = Problems(called)
    checkpoints = [found for key in run if (found := to_checkpoint(key, run[key], axis, like, problems)) is not None]
    if not run:
        problems.add("no checkpoints", "a mapping from steps to models or state dicts", "give at least one")
    steps = [checkpoint.step for checkpoint in checkpoints]
    if axis == "step" and steps != sorted(steps):
        problems.add(f"steps in the order {', '.join(map(str, steps))}", "steps that rise", "sort the mapping")
    check_distinct_steps([(checkpoint.name, checkpoint.step) for checkpoint in checkpoints], axis, problems)
    problems.raise_if_any()
    return sorted(checkpoints, key=lambda checkpoint: checkpoint.step)


def to_checkpoint(
    key: Any, value: Model | State, axis: Axis, like: Model | None, problems: Problems
) -> Checkpoint | None:
    if axis == "step" and (isinstance(key, bool) or not isinstance(key, int) or key < 0):
        problems.add(f"the step {key!r}", "a whole number, 0 or more", "use the number of training steps as the key")
        return None
    name = f"step-{key:06d}" if axis == "step" else str(key)
    place = to_place(name, value, like, problems)
    if place is None:
        return None
    model = place.load()
    try:
        sizes = model.dimensions
        values = {"parameters": model.n_parameters, "width": sizes.d_model, "depth": sizes.n_layers}
        step = key if axis == "step" else model.n_parameters
        weights = state_digest(model.module.state_dict())
        return Checkpoint(step, name, module_digest(model.module), weights, place, values)
    finally:
        place.release(model)


def to_place(name: str, value: Model | State, like: Model | None, problems: Problems) -> ModelPlace | StatePlace | None:
    if isinstance(value, Model):
        return ModelPlace(value)
    if like is None:
        problems.add(f"{name}: a state dict, and no model for it", "like=a model of its shape", "pass like")
        return None
    place = StatePlace(name, value, like)
    try:
        place.load()
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        problems.add(f"{name}: a state dict that does not fit: {reason}", "the state of a model like `like`", "pass it")
        return None
    except (TypeError, AttributeError) as error:
        problems.add(f"{name}: {first_line(error)}", "a Model, or a mapping from names to tensors", "pass one of them")
        return None
    return place
