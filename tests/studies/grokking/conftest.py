"""Small tasks and models, logits whose waves are planted, and the published weights."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from heldout.models import Model, load_research_weights
from heldout.studies.grokking import GrokkingRun, ModularAddition, Recipe, grokking_of_training

ZOO = Path(__file__).parents[2] / "models" / "conftest.py"
WEIGHTS = Path(__file__).parents[4] / "shared" / "data" / "grokking_wd_10-1.pth"
QUICK = Recipe(fraction=0.4, mlp_width=512, steps=700, checkpoints=14)
"""More pairs than the default, so that it groks in a few seconds."""


def zoo() -> Any:
    """The table of tiny models that the tests of `heldout.models` use."""
    spec = importlib.util.spec_from_file_location("tiny_models", ZOO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TINY = zoo()


def wave_logits(modulus: int, cosines: dict[int, float], sines: dict[int, float] | None = None) -> Tensor:
    """Σ of cosines and sines of 2πk(a + b − c)/p, term by term as the definition has it."""
    a, b, c = torch.meshgrid(*(torch.arange(modulus).double(),) * 3, indexing="ij")
    logits = torch.zeros(modulus, modulus, modulus, dtype=torch.float64)
    for waves, function in ((cosines, torch.cos), (sines or {}, torch.sin)):
        for frequency, size in waves.items():
            logits += size * function(2 * torch.pi * frequency * (a + b - c) / modulus)
    return logits.flatten(0, 1)


@pytest.fixture(scope="session")
def planted_logits() -> Callable[..., Tensor]:
    """Logits of all pairs with waves of one's choice: `planted_logits(modulus, cosines, sines)`."""
    return wave_logits


@pytest.fixture(scope="session", params=[*TINY.CASES, *TINY.PLAIN_CASES])
def model(request: pytest.FixtureRequest) -> Model:
    """A tiny model of every family, with random weights."""
    return TINY.build(request.param)


@pytest.fixture(scope="session")
def published() -> tuple[Model, ModularAddition]:
    """The published model with its task; skips where the weights are absent."""
    if not WEIGHTS.is_file():
        pytest.skip(f"the published weights, {WEIGHTS}, are absent")
    return load_research_weights(WEIGHTS), ModularAddition(113, 0.3, 1)


@pytest.fixture(scope="session")
def published_file(published: tuple[Model, ModularAddition]) -> Path:
    return WEIGHTS


@pytest.fixture(scope="session")
def grokked(tmp_path_factory: pytest.TempPathFactory) -> tuple[GrokkingRun, Path]:
    """A model that was trained here until it generalised, with the folder of its study."""
    out = tmp_path_factory.mktemp("grokked")
    (run,) = grokking_of_training(QUICK, [0], out).runs
    return run, out


@pytest.fixture(scope="session")
def quick_recipe() -> Recipe:
    """That of `grokked`."""
    return QUICK


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """Too small and too short to learn anything: for what does not depend on that."""
    return Recipe(modulus=7, width=8, heads=2, mlp_width=12, fraction=0.5, steps=20, checkpoints=6)


@pytest.fixture(scope="session")
def frequencies_of() -> Callable[[int], Sequence[int]]:
    return lambda modulus: range(1, modulus // 2 + 1)
