"""Readings of models that never were: activations whose relation is known, of items that are made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from heldout.data import Sample
from heldout.models import Site, Tokens
from heldout.organisms import shipped_organisms
from heldout.studies.compare.findings import ModelComparison, found_in
from heldout.studies.compare.items import Items
from heldout.studies.compare.readings import Reading
from heldout.studies.compare.study import silent
from heldout.techniques.representation_comparison import Draws

TWIN = "A₀"


def reading(label: str, activations: Mapping[str, np.ndarray], words: np.ndarray | None = None) -> Reading:
    """A trained model, or the untrained one where the label is its."""
    n = len(next(iter(activations.values())))
    tokens = Tokens.from_ids(torch.ones(n, 2, dtype=torch.long) if words is None else torch.as_tensor(words))
    values = {Site.parse(site): torch.as_tensor(x, dtype=torch.float32) for site, x in activations.items()}
    return Reading(label, f"model {label}", "sha256:0", 1, len(values), tokens, values, None if label == TWIN else TWIN)


def items(n: int, latents: Sequence[Mapping[str, Any]] | None = None, targets: Sequence[str] | None = None) -> Items:
    """Prompts without a suite, or with its samples."""
    texts = tuple(f"prompt {index}" for index in range(n))
    samples: tuple[Sample, ...] = ()
    if latents is not None:
        samples = tuple(
            Sample(
                f"s{index}",
                f"{text} {'x' * (index % 7)}",
                targets[index] if targets else None,
                "verified" if targets else "unverified",
                "sums",
                ("1",),
                latents=latents[index],
            )
            for index, text in enumerate(texts)
        )
    return Items("made up", "sha256:1", texts, samples, 0, 0)


def study(readings: Sequence[Reading], prompts: Items, draws: int = 39) -> ModelComparison:
    return found_in(readings, prompts, -1, Draws(draws, 9, 0), silent)


@pytest.fixture(scope="session")
def made_up() -> SimpleNamespace:
    return SimpleNamespace(reading=reading, items=items, study=study, twin=TWIN)


@pytest.fixture(scope="session")
def organism():
    """The folder of a shipped organism."""

    def organism(cell: str):
        return next(path for path in shipped_organisms() if path.name.startswith(f"{cell}-seed"))

    return organism
