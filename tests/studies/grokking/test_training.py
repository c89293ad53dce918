"""Training: the same weights whether it is interrupted or not, and folders that belong to one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from heldout.errors import InputError
from heldout.models import CheckpointSuite
from heldout.studies.grokking import Recipe
from heldout.studies.grokking.training import Training, trained


def weights(suite: CheckpointSuite) -> list[str]:
    return [checkpoint.weights for checkpoint in suite]


class InterruptedTrainingError(Exception):
    """What a test raises in the middle of training."""


def stop_after(checkpoints: int):
    def progress(what: str, done: int, total: int) -> None:
        if done >= checkpoints:
            raise InterruptedTrainingError

    return progress


def test_checkpoints_are_kept_from_before_training_to_its_end(tiny_recipe: Recipe, tmp_path: Path) -> None:
    suite = trained(tiny_recipe, 3, tmp_path / "run")
    assert suite.steps == tuple(tiny_recipe.kept_steps) == (0, 1, 3, 7, 13, 20)
    before = tiny_recipe.untrained(3).module.state_dict()
    first = suite.checkpoints[0].load().module.state_dict()
    assert all(torch.equal(first[name], before[name]) for name in before)


@pytest.mark.parametrize("kept", [0, 1, 3, 5])
def test_an_interrupted_run_ends_with_the_same_weights(tiny_recipe: Recipe, tmp_path: Path, kept: int) -> None:
    whole = trained(tiny_recipe, 0, tmp_path / "whole")
    with pytest.raises(InterruptedTrainingError):
        trained(tiny_recipe, 0, tmp_path / "cut", stop_after(kept))
    told: list[int] = []
    resumed = trained(tiny_recipe, 0, tmp_path / "cut", lambda what, done, total: told.append(done))
    assert weights(resumed) == weights(whole)
    assert min(told) == kept, "what was done is not done again"


def test_a_finished_run_is_not_trained_again(
    tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(tiny_recipe, 0, tmp_path / "run")
    monkeypatch.setattr(Training, "advance", lambda *_: pytest.fail("trained again"))
    assert weights(trained(tiny_recipe, 0, tmp_path / "run")) == weights(first)


def test_a_checkpoint_that_was_lost_is_made_again(tiny_recipe: Recipe, tmp_path: Path) -> None:
    first = trained(tiny_recipe, 0, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "step-000007.safetensors").unlink()
    assert weights(trained(tiny_recipe, 0, tmp_path / "run")) == weights(first)


def test_seeds_differ_in_weights_and_in_pairs(tiny_recipe: Recipe, tmp_path: Path) -> None:
    first, second = (trained(tiny_recipe, seed, tmp_path / str(seed)) for seed in (0, 1))
    assert set(weights(first)).isdisjoint(weights(second))


def test_a_folder_belongs_to_one_recipe(tiny_recipe: Recipe, tmp_path: Path) -> None:
    trained(tiny_recipe, 0, tmp_path)
    with pytest.raises(InputError) as raised:
        trained(replace(tiny_recipe, width=4, steps=30), 0, tmp_path)
    assert raised.value.problems[0].found == f"{tmp_path} holds a run with width 8, steps 20"
    assert raised.value.problems[0].expected == "a run with width 4, steps 30"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"heads": 3}, "width 8 and 3 heads"),
        ({"steps": 0}, "steps 0"),
        ({"checkpoints": 1}, "1 checkpoints of 20 steps"),
        ({"learning_rate": 0.0}, "learning_rate 0.0"),
        ({"epsilon": float("nan")}, "epsilon nan"),
        ({"cool_down": 1.5}, "cool_down 1.5"),
        ({"weight_decay": -1.0}, "weight_decay -1.0"),
        ({"modulus": 8}, "modulus 8"),
    ],
)
def test_settings_out_of_range_are_refused(tiny_recipe: Recipe, changes: dict[str, float], found: str) -> None:
    with pytest.raises(InputError, match=f"found:    {found}"):
        replace(tiny_recipe, **changes)


def test_all_that_is_wrong_is_said_at_once(tiny_recipe: Recipe) -> None:
    with pytest.raises(InputError, match="problem 1 of 2"):
        replace(tiny_recipe, learning_rate=-1.0, mlp_width=0)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    recipe = Recipe(learning_rate=0.1, steps=100, cool_down=0.2)
    rates = [recipe.learning_rate_at(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.01 * place for place in range(1, 11)])
    assert set(rates[10:80]) == {0.1}
    assert rates[80:] == pytest.approx([0.1 * left / 20 for left in range(20, 0, -1)])
    assert replace(recipe, cool_down=0.0).learning_rate_at(99) == 0.1


def test_kept_steps_rise_and_end_with_the_last() -> None:
    for steps, checkpoints in ((5, 6), (10, 8), (2500, 40), (6, 6)):
        kept = Recipe(steps=steps, checkpoints=checkpoints).kept_steps
        assert (kept[0], kept[-1], len(kept)) == (0, steps, checkpoints)
        assert sorted(set(kept)) == kept
