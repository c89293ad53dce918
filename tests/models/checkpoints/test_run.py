"""Checkpoints in memory: models stay whole, state dicts become models, and all problems are said at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from heldout.errors import InputError
from heldout.models import CheckpointSuite, Model

Seeded = Callable[..., Model]


def test_models_and_their_state_dicts_are_the_same_checkpoints(seeded: Seeded) -> None:
    models = {step: seeded(step) for step in (0, 5, 20)}
    states = {step: model.module.state_dict() for step, model in models.items()}
    suite = CheckpointSuite.from_run(models)
    from_states = CheckpointSuite.from_run(states, like=seeded(77))
    assert suite.steps == from_states.steps == (0, 5, 20)
    assert suite.digest == from_states.digest
    for checkpoint, model in from_states.models():
        assert model.digest == checkpoint.digest == models[checkpoint.step].digest
        assert model.tokenize(["w1"]).ids.tolist() == [[5]]


def test_models_of_the_caller_stay_whole(seeded: Seeded) -> None:
    model = seeded(1)
    before = model.module.state_dict()["transformer.wte.weight"].clone()
    assert [found is model for _, found in CheckpointSuite.from_run({3: model}).models()] == [True]
    assert torch.equal(model.module.state_dict()["transformer.wte.weight"], before)


def test_a_copy_leaves_the_model_that_it_is_like_alone(seeded: Seeded) -> None:
    like = seeded(1)
    suite = CheckpointSuite.from_run({0: seeded(2).module.state_dict()}, like=like)
    with suite.at(0).resident():
        pass
    assert torch.equal(like.module.state_dict()["lm_head.weight"], seeded(1).module.state_dict()["lm_head.weight"])


def test_sizes_are_ordered_by_their_parameters(seeded: Seeded) -> None:
    run = {"large": seeded(1, n_embd=32), "small": seeded(1, n_embd=16)}
    suite = CheckpointSuite.from_run(run, axis="size")
    assert [(checkpoint.name, checkpoint.step) for checkpoint in suite] == [
        (name, run[name].n_parameters) for name in ("small", "large")
    ]


def test_everything_that_is_wrong_is_said_at_once(seeded: Seeded) -> None:
    wide = seeded(3, n_embd=16).module.state_dict()
    run: dict[Any, Any] = {4: seeded(4), 2: seeded(2), -1: seeded(1), "x": seeded(5), True: seeded(6), 9: wide, 10: 7}
    with pytest.raises(InputError) as raised:
        CheckpointSuite.from_run(run, like=seeded(0))
    found = [problem.found for problem in raised.value.problems]
    assert found[:3] == ["the step -1", "the step 'x'", "the step True"]
    assert found[3].startswith("step-000009: a state dict that does not fit: ")
    assert found[4].startswith("step-000010: ")
    assert found[5:] == ["steps in the order 4, 2"]


def test_a_state_dict_needs_a_model_and_a_run_needs_checkpoints(seeded: Seeded) -> None:
    with pytest.raises(InputError, match="step-000001: a state dict, and no model for it"):
        CheckpointSuite.from_run({1: seeded(1).module.state_dict()})
    with pytest.raises(InputError, match="no checkpoints"):
        CheckpointSuite.from_run({})


def test_duplicates_are_refused(seeded: Seeded) -> None:
    with pytest.raises(InputError, match="the same weights in step-000001, step-000003"):
        CheckpointSuite.from_run({1: seeded(1), 2: seeded(2), 3: seeded(1)})
