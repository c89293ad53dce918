"""Prompts made by hand, shipped organisms, and audits of them that several tests look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from heldout.audits import audit
from heldout.audits.prompts import Prompts
from heldout.data import Role, Sample, Suite
from heldout.evidence import Bundle
from heldout.models import Model, Tokens, load
from heldout.organisms import Recipe, read_truth, shipped_organisms
from heldout.organisms.folders import make_suite
from heldout.organisms.prompts import PromptFormat

MakePrompts = Callable[..., Prompts]


@cache
def folder(cell: str) -> Path:
    return next(path for path in shipped_organisms() if path.name.startswith(f"{cell}-seed"))


@pytest.fixture(scope="session")
def organism() -> Callable[[str], Path]:
    """The folder of a shipped organism."""
    return folder


@pytest.fixture(scope="session")
def candidate() -> Callable[[str], Model]:
    """A shipped organism's candidate, loaded once."""
    return cache(lambda cell: load(folder(cell) / "candidate"))


@pytest.fixture(scope="session")
def suite() -> Callable[[str], Suite]:
    return cache(lambda cell: Suite.from_folder(folder(cell) / "suite"))


@pytest.fixture(scope="session")
def suite_naming_cues() -> Callable[[str], Suite]:
    """A shipped organism's suite with its cues named; the shipped one leaves them to be found."""

    def suite_naming_cues(cell: str) -> Suite:
        recipe = Recipe(**read_truth(folder(cell))["recipe"])
        return make_suite(replace(recipe, names_cue=True), PromptFormat.of(recipe))

    return cache(suite_naming_cues)


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bundle]:
    """The bundle of a quick audit of a shipped organism beside its baseline, made once."""

    def audited(cell: str) -> Bundle:
        organism, out = folder(cell), tmp_path_factory.mktemp("runs") / "run"
        baseline, questions = organism / "baseline", organism / "suite"
        return audit(organism / "candidate", baseline=baseline, suite=questions, out=out, effort="quick")

    return cache(audited)


@pytest.fixture
def make_prompts() -> MakePrompts:
    """Prompts of one role, one for each set of accepted answers; their tokens are all the same."""

    def make_prompts(
        accepts: Sequence[Sequence[str]], role: Role = "unverified", split: str | Sequence[str] = "test"
    ) -> Prompts:
        samples = tuple(
            Sample(f"s{place}", "?", None if role == "unverified" else answers[0], role, "sums", tuple(answers))
            for place, answers in enumerate(accepts)
        )
        splits = [split] * len(samples) if isinstance(split, str) else list(split)
        return Prompts(role, samples, Tokens.from_ids([[1]] * len(samples)), np.array(splits))

    return make_prompts


@pytest.fixture(scope="session")
def hook_count() -> Callable[[Model], int]:
    """Every hook on a model's module and its parts."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

    def hook_count(model: Model) -> int:
        modules: list[nn.Module] = list(model.module.modules())
        return sum(len(getattr(module, kind)) for module in modules for kind in kinds)

    return hook_count
