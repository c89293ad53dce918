"""The linear readout: it finds planted classes, nothing under permuted labels, and recentring undoes a shift."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from heldout.models import Tokens
from heldout.statistics import exceeds_rate_p_value
from heldout.techniques import AnswerReadoutFitter
from heldout.techniques.probes import bag_of_tokens

CLASSES, WIDTH, N = 7, 16, 700
FIT, TEST = slice(0, 400), slice(400, N)


@pytest.fixture(scope="module")
def planted() -> tuple[Tensor, Any]:
    """Noise around one centre a class, and the classes' names."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (N,), generator=generator)
    centres = 2.0 * torch.randn(CLASSES, WIDTH, generator=generator)
    return centres[labels] + torch.randn(N, WIDTH, generator=generator), labels.numpy().astype(np.str_)


def accuracy(readout: Any, activations: Tensor, labels: Any) -> float:
    return float(np.mean(readout(activations) == labels))


def test_planted_classes_are_read_on_items_that_were_not_fitted(planted: tuple[Tensor, Any]) -> None:
    activations, labels = planted
    readout = AnswerReadoutFitter().fit(activations[FIT], labels[FIT])
    assert accuracy(readout, activations[TEST], labels[TEST]) > 0.95
    assert set(readout.classes) == set(labels)


def test_permuted_labels_are_read_at_chance(planted: tuple[Tensor, Any]) -> None:
    activations, labels = planted
    generator = np.random.default_rng(1)
    for _ in range(5):
        readout = AnswerReadoutFitter().fit(activations[FIT], generator.permutation(labels[FIT]))
        hits = int(np.sum(readout(activations[TEST]) == generator.permutation(labels[TEST])))
        assert exceeds_rate_p_value(hits, N - FIT.stop, 1 / CLASSES) > 1e-3


def test_noise_without_classes_is_read_at_chance(planted: tuple[Tensor, Any]) -> None:
    _, labels = planted
    noise = torch.randn(N, WIDTH, generator=torch.Generator().manual_seed(2))
    readout = AnswerReadoutFitter().fit(noise[FIT], labels[FIT])
    hits = int(np.sum(readout(noise[TEST]) == labels[TEST]))
    assert exceeds_rate_p_value(hits, N - FIT.stop, 1 / CLASSES) > 1e-3


def test_recentring_undoes_what_all_inputs_share(planted: tuple[Tensor, Any]) -> None:
    activations, labels = planted
    readout = AnswerReadoutFitter().fit(activations[FIT], labels[FIT])
    moved = activations[TEST] + 20.0 * torch.randn(WIDTH, generator=torch.Generator().manual_seed(3))
    assert accuracy(readout, moved, labels[TEST]) < 0.6
    unmoved = readout.recentred(activations[TEST])(activations[TEST])
    assert (readout.recentred(moved)(moved) == unmoved).all()
    assert np.mean(unmoved == labels[TEST]) > 0.9


def test_recentring_on_what_was_fitted_changes_nothing(planted: tuple[Tensor, Any]) -> None:
    activations, labels = planted
    readout = AnswerReadoutFitter().fit(activations[FIT], labels[FIT])
    again = readout.recentred(activations[FIT])
    assert (again.centre == readout.centre).all()
    assert (again(activations) == readout(activations)).all()


def test_the_size_of_a_coordinate_does_not_matter(planted: tuple[Tensor, Any]) -> None:
    activations, labels = planted
    scale = 2.0 ** torch.randint(-8, 9, (WIDTH,), generator=torch.Generator().manual_seed(4))
    plain = AnswerReadoutFitter().fit(activations[FIT], labels[FIT])
    scaled = AnswerReadoutFitter().fit((activations * scale)[FIT], labels[FIT])
    assert np.mean(plain(activations[TEST]) == scaled((activations * scale)[TEST])) > 0.99


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_any_floating_type_is_read(planted: tuple[Tensor, Any], dtype: torch.dtype) -> None:
    activations, labels = planted
    readout = AnswerReadoutFitter().fit(activations[FIT].to(dtype), labels[FIT])
    assert accuracy(readout, activations[TEST].to(dtype), labels[TEST]) > 0.95


def test_a_constant_coordinate_is_harmless(planted: tuple[Tensor, Any]) -> None:
    activations, labels = planted
    padded = torch.cat([activations, torch.full((N, 3), 5.0)], dim=1)
    readout = AnswerReadoutFitter().fit(padded[FIT], labels[FIT])
    assert accuracy(readout, padded[TEST], labels[TEST]) > 0.95


def test_two_classes_are_told_apart(planted: tuple[Tensor, Any]) -> None:
    activations, labels = planted
    both = np.isin(labels, ["1", "4"])
    chosen, names = activations[torch.from_numpy(both)], labels[both]
    readout = AnswerReadoutFitter().fit(chosen, names)
    assert accuracy(readout, chosen, names) > 0.95
    mirrored = AnswerReadoutFitter().fit(chosen, np.where(names == "1", "4", "1"))
    assert np.mean(mirrored(chosen) == readout(chosen)) < 0.05


def test_one_class_is_always_decoded(planted: tuple[Tensor, Any]) -> None:
    readout = AnswerReadoutFitter().fit(planted[0][FIT], ["same"] * 400)
    assert set(readout(planted[0])) == {"same"}
    assert set(readout.recentred(planted[0])(planted[0])) == {"same"}


def test_an_answer_that_was_not_fitted_is_never_decoded(planted: tuple[Tensor, Any]) -> None:
    activations, labels = planted
    known = labels[FIT] != "3"
    readout = AnswerReadoutFitter().fit(activations[FIT][torch.from_numpy(known)], labels[FIT][known])
    assert "3" not in set(readout(activations))


def test_many_answers_on_few_items_are_fitted_without_a_word() -> None:
    """A suite just large enough has nearly as many answers as prompts, which is nothing to warn an auditor of."""
    activations = torch.randn(30, WIDTH, generator=torch.Generator().manual_seed(6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AnswerReadoutFitter().fit(activations, [str(place // 2 * 2) for place in range(25)] + ["a", "b", "c", "d", "e"])


def test_a_bag_counts_the_words_of_each_prompt_whatever_their_places() -> None:
    rows = [[5, 7, 5, 9], [9], [7, 7, 7]]
    tokens = Tokens.from_ids(rows, pad_id=5)
    vocabulary = [5, 7, 9, 11]
    bags = bag_of_tokens(tokens.ids, tokens.mask, torch.tensor(vocabulary))
    assert bags.tolist() == [[Counter(row)[word] for word in vocabulary] for row in rows]
    turned = Tokens.from_ids([row[::-1] for row in rows], pad_id=5)
    assert torch.equal(bag_of_tokens(turned.ids, turned.mask, torch.tensor(vocabulary)), bags)
