"""A small planted dictionary, and a comparison that is quick on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from heldout.techniques.dictionaries import BatchTopK, CrosscoderComparison, CrosscoderFindings, NullRuns, Training
from heldout.techniques.dictionaries.planted import PlantedDictionary, PlantedPair

SMALL = PlantedDictionary(shared=8, rotated=2, weak=3, exclusive=3, widths=(24, 24), noise=0.05)
QUICK = CrosscoderComparison(
    BatchTopK(2.0), Training(latents=28, steps=700, rows=256), NullRuns(unrelated=1, identical=2), seed=1
)


@cache
def drawn() -> PlantedPair:
    return SMALL.draw(10000, seed=1)


@cache
def compared() -> CrosscoderFindings:
    return QUICK.compare(drawn().a, drawn().b)


@pytest.fixture
def dictionary() -> PlantedDictionary:
    return SMALL


@pytest.fixture
def quick() -> CrosscoderComparison:
    return QUICK


@pytest.fixture
def pair() -> PlantedPair:
    return drawn()


@pytest.fixture
def findings() -> Callable[[], CrosscoderFindings]:
    """Of the pair, by the quick comparison."""
    return compared
