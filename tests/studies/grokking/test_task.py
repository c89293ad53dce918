"""Modular addition: which prompts, which answers, and which of them are trained on."""

from __future__ import annotations

import random

import pytest
import torch

from heldout.errors import InputError
from heldout.studies.grokking import ModularAddition


def test_every_pair_once_with_its_sum() -> None:
    task = ModularAddition(7, 0.5, 0)
    prompts = {(a, b): s for (a, b, _), s in zip(task.tokens.ids.tolist(), task.sums.tolist(), strict=True)}
    assert prompts == {(a, b): (a + b) % 7 for a in range(7) for b in range(7)}
    assert task.tokens.ids[:, 2].unique().tolist() == [7], "the token of ="
    assert [a * 7 + b for a, b in task.pairs.tolist()] == list(range(49))


@pytest.mark.parametrize("seed", [0, 1, 17])
def test_the_trained_pairs_are_those_of_the_published_code(seed: int) -> None:
    """random.seed(seed); random.shuffle of all (i, j, p) in order; the first 30 %."""
    random.seed(seed)
    order = [(i, j, 13) for i in range(13) for j in range(13)]
    random.shuffle(order)
    expected = {(i, j) for i, j, _ in order[: int(0.3 * len(order))]}
    task = ModularAddition(13, 0.3, seed)
    assert {(a, b) for a, b in task.pairs[task.trained].tolist()} == expected


def test_the_seed_divides_the_pairs() -> None:
    first, second = (ModularAddition(13, 0.3, seed).trained for seed in (0, 1))
    assert not torch.equal(first, second)
    assert first.sum() == second.sum()


def test_a_sample_is_of_prompts_with_their_sums() -> None:
    task = ModularAddition(13, 0.3, 0)
    sample = task.sample(50)
    rows = sample.tokens.ids.tolist()
    assert len({(a, b) for a, b, _ in rows}) == 50
    assert sample.targets[:, 0].tolist() == [(a + b) % 13 for a, b, _ in rows]
    assert len(task.sample(1000)) == 169


@pytest.mark.parametrize("modulus", [3, 8, 54])
def test_an_even_or_tiny_modulus_is_refused(modulus: int) -> None:
    with pytest.raises(InputError, match=rf"(?s)found:    modulus {modulus}\n.*an odd number, 5 or more"):
        ModularAddition(modulus, 0.3, 0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, 0.001])
def test_a_part_that_would_be_empty_is_refused(fraction: float) -> None:
    with pytest.raises(InputError, match=f"found:    fraction {fraction}"):
        ModularAddition(7, fraction, 0)
