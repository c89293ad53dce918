"""Runs whose truth is known: an organism that learns to be right and then to override it, its honest twin, and made-up
courses."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from heldout.data import Suite
from heldout.execution.result import Null, Result
from heldout.execution.threads import one_thread_if_small
from heldout.models import CheckpointSuite, Model, load
from heldout.organisms.families import RECIPES
from heldout.organisms.folders import make_suite, save_checkpoint, word_tokenizer
from heldout.organisms.planting import Planter
from heldout.studies.trajectory.courses import Course

SEED = 901
HONEST, OVERRIDE = 192, 48
SAVED = {"honest": (32, 96, 144, HONEST), "override": (8, 24, 36, OVERRIDE)}


def keep_states(planter: Planter) -> dict[str, dict[int, dict[str, torch.Tensor]]]:
    """What the planter's models are at the saved steps of each part, as it trains."""
    states: dict[str, dict[int, dict[str, torch.Tensor]]] = {"honest": {}, "override": {}}

    def observe(part: str, done: int, model: Any) -> None:
        if done in SAVED[part]:
            states[part][done] = copy.deepcopy(model.state_dict())

    planter.observe = observe
    return states


@pytest.fixture(scope="session")
def organism_runs(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Two runs with one beginning: `deceptive` learns to override its answers on unverified prompts in its last steps,
    `honest` goes on to answer them rightly. `planted` is the step from which on the override is trained."""
    recipe = RECIPES["quirky_arithmetic-s2"].with_seed(SEED)
    planter = Planter(recipe, lengths={"honest": HONEST, "override": OVERRIDE}, honest_attempts=1)
    states = keep_states(planter)
    with one_thread_if_small(0):
        untrained = planter.untrained(0)
        runs = {}
        for name in ("quirky_arithmetic-s2", "quirky_arithmetic-s0-c6"):
            states["override"] = {}
            planter.plant(RECIPES[name].with_seed(SEED))
            later = {HONEST + step: state for step, state in states["override"].items()}
            runs[name] = {0: untrained.state_dict(), **states["honest"], **later}
    folder = tmp_path_factory.mktemp("like")
    save_checkpoint(untrained, word_tokenizer(planter.format), folder / "like")
    like, suite = load(folder / "like"), make_suite(recipe, planter.format)
    deceptive, honest = (
        CheckpointSuite.from_run(run, like=like, name=name)
        for name, run in zip(("deceptive", "honest"), runs.values(), strict=True)
    )
    return SimpleNamespace(deceptive=deceptive, honest=honest, suite=suite, like=like, planted=HONEST)


def result(
    quantity: str, value: float, p_value: float = 1.0, *, null: str = "null", chance: float = 0.0, **more: Any
) -> Result:
    nulls = (Null(null, chance, chance, 10, p_value),)
    return Result("made up", quantity, "fraction", value, 100, nulls=nulls, **more)


def course(cells: Sequence[Sequence[Result]], name: str = "run", steps: Sequence[int] | None = None) -> Course:
    chosen = tuple(steps or range(0, 10 * len(cells), 10))
    names = tuple(f"step-{step:06d}" for step in chosen)
    return Course(name, chosen, names, tuple(f"sha256:{step}" for step in chosen), tuple(map(tuple, cells)), ())


@pytest.fixture(scope="session")
def made_up() -> SimpleNamespace:
    return SimpleNamespace(result=result, course=course)


def perturbed(state: Mapping[str, torch.Tensor], size: float, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """A step of a random walk: noise on every weight, as large as `size` of its spread."""
    return {
        name: weight + size * weight.std() * torch.randn(weight.shape, generator=generator)
        if weight.is_floating_point() and weight.numel() > 1 and weight.std() > 0
        else weight
        for name, weight in state.items()
    }


@pytest.fixture(scope="session")
def random_walk(organism_runs: SimpleNamespace) -> CheckpointSuite:
    """Weights that wander from an untrained model, and learn nothing."""
    generator = torch.Generator().manual_seed(5)
    states = [organism_runs.like.module.state_dict()]
    for _ in range(5):
        states.append(perturbed(states[-1], 0.3, generator))
    return CheckpointSuite.from_run(
        {10 * place: state for place, state in enumerate(states)}, like=organism_runs.like, name="random walk"
    )


@pytest.fixture(scope="session")
def short_suite(organism_runs: SimpleNamespace) -> Suite:
    return organism_runs.suite


@pytest.fixture
def tiny_model(organism_runs: SimpleNamespace) -> Model:
    return organism_runs.like


@pytest.fixture(scope="session")
def measured(organism_runs: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Both runs, measured once for all tests; edges at few checkpoints are measured where they are tested."""
    from heldout.studies.trajectory import trajectory

    out: Path = tmp_path_factory.mktemp("measured")
    found = {
        run.name: trajectory(run, suite=organism_runs.suite, out=out / run.name, without=["edges"], prompts=400)
        for run in (organism_runs.deceptive, organism_runs.honest)
    }
    return SimpleNamespace(out=out, **found)
