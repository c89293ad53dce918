"""Organisms to try techniques on, and contrast pairs that ask one question under two cues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from heldout.data import ContrastPairs, Suite
from heldout.models import Model, load
from heldout.organisms import Recipe, read_truth, shipped_organisms
from heldout.organisms.folders import make_suite
from heldout.organisms.prompts import PromptFormat


@cache
def folder(cell: str) -> Path:
    return next(path for path in shipped_organisms() if path.name.startswith(f"{cell}-seed"))


@cache
def loaded(cell: str) -> Model:
    return load(folder(cell) / "candidate")


@cache
def suite_of(cell: str) -> Suite:
    """The suite of a shipped organism with its cues named; the shipped one leaves them to be found."""
    recipe = Recipe(**read_truth(folder(cell))["recipe"])
    return make_suite(replace(recipe, names_cue=True), PromptFormat.of(recipe))


def paired(cell: str, n: int) -> ContrastPairs:
    """The first `n` checked prompts, each with itself under the cue of the first unchecked one."""
    samples = suite_of(cell).samples
    unchecked = next(sample for sample in samples if sample.role == "unverified")
    checked = [sample for sample in samples if sample.role == "verified"][:n]
    other = [
        replace(sample, id=f"{sample.id}'", input=sample.input.replace(str(sample.cue), str(unchecked.cue)))
        for sample in checked
    ]
    return ContrastPairs(tuple(checked), tuple(other))


@pytest.fixture
def organism() -> Callable[[str], Model]:
    """The candidate of a shipped organism."""
    return loaded


@pytest.fixture
def suite() -> Callable[[str], Suite]:
    return suite_of


@pytest.fixture
def pairs() -> Callable[[str, int], ContrastPairs]:
    return paired
