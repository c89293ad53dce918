"""Progress measures against plain computations, on a model with random weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from heldout.models import Site
from heldout.studies.grokking import ProgressMeasures, Recipe, measures_of
from heldout.studies.grokking.measures import gini, keys_of, variance_explained

RECIPE = Recipe(modulus=11, width=16, heads=2, mlp_width=24, fraction=0.5, steps=5, checkpoints=6)
TASK = RECIPE.task(0)
MODEL = RECIPE.untrained(0)
KEYS = (4, 1)


@pytest.fixture(scope="module")
def measured() -> ProgressMeasures:
    return measures_of(MODEL, TASK, KEYS)


@pytest.fixture(scope="module")
def logits() -> Tensor:
    return MODEL.logits(TASK.tokens)[:, -1, :11].double()


def loss(logits: Tensor, chosen: Tensor | None = None) -> float:
    rows = slice(None) if chosen is None else chosen
    return float(nn.functional.cross_entropy(logits[rows], TASK.sums[rows]))


def without(logits: Tensor, keys: tuple[int, ...]) -> Tensor:
    """The logits less their least-squares fit by cos and sin of 2πk(a + b)/p."""
    angles = [2 * torch.pi * key / 11 * TASK.pairs.sum(dim=1).double() for key in keys]
    design = torch.stack([wave for angle in angles for wave in (angle.cos(), angle.sin())], dim=1)
    return logits - design @ torch.linalg.lstsq(design, logits).solution


def test_losses_and_accuracies(measured: ProgressMeasures, logits: Tensor) -> None:
    train, test = TASK.trained, ~TASK.trained
    assert measured.loss == pytest.approx(loss(logits))
    assert measured.train_loss == pytest.approx(loss(logits, train))
    assert measured.test_loss == pytest.approx(loss(logits, test))
    right = logits.argmax(dim=1) == TASK.sums
    assert measured.train_accuracy == pytest.approx(float(right[train].double().mean()))
    assert measured.test_accuracy == pytest.approx(float(right[test].double().mean()))


def test_restricted_and_excluded_losses(measured: ProgressMeasures, logits: Tensor) -> None:
    left, train, test = without(logits, KEYS), TASK.trained, ~TASK.trained
    kept = logits - left + logits.mean(dim=0)
    assert measured.excluded_train == pytest.approx(loss(left, train))
    assert measured.excluded_test == pytest.approx(loss(left, test))
    assert measured.restricted == pytest.approx(loss(kept))
    assert measured.restricted_train == pytest.approx(loss(kept, train))
    assert measured.restricted_test == pytest.approx(loss(kept, test))


def test_each_frequency_is_left_out_by_itself(measured: ProgressMeasures, logits: Tensor) -> None:
    assert [each.frequency for each in measured.frequencies] == [1, 2, 3, 4, 5]
    for each in measured.frequencies:
        left = without(logits, (each.frequency,))
        assert each.excluded_train == pytest.approx(loss(left, TASK.trained))
        assert each.excluded_test == pytest.approx(loss(left, ~TASK.trained))


def test_shares_of_the_weights(measured: ProgressMeasures) -> None:
    state = {name: weight.double().numpy() for name, weight in MODEL.module.state_dict().items()}
    embedding = state["embed.weight"][:11]
    read = state["unembed.weight"][:11] @ state["layers.0.mlp.output.weight"]
    for matrix, name, total in (
        (embedding, "embedding_share", measured.embedding_key_share),
        (read, "neuron_logit_share", measured.neuron_logit_key_share),
    ):
        spectrum = np.abs(np.fft.fft(matrix, axis=0)) ** 2
        shares = 2 * spectrum[1:6].sum(axis=1) / spectrum.sum()
        np.testing.assert_allclose([getattr(each, name) for each in measured.frequencies], shares)
        assert total == pytest.approx(shares[[0, 3]].sum())
    squares = sum(float((weight**2).sum()) for weight in state.values())
    assert measured.sum_of_squares == pytest.approx(squares)


def test_single_neurons_and_variance(measured: ProgressMeasures, logits: Tensor) -> None:
    assert measured.neurons == 24
    assert measured.single_frequency_neurons == sum(each.neurons for each in measured.frequencies)
    cosines = [measured.frequencies[key - 1].logit_cosine for key in KEYS]
    a, b, c = torch.meshgrid(*(torch.arange(11).double(),) * 3, indexing="ij")
    fit = sum(size * torch.cos(2 * torch.pi * key * (a + b - c) / 11) for key, size in zip(KEYS, cosines, strict=True))
    rest = (logits - torch.as_tensor(fit).flatten(0, 1)).var() / logits.var()
    assert measured.logit_variance_explained == pytest.approx(1 - float(rest))


def test_the_last_order_is_the_model(measured: ProgressMeasures) -> None:
    assert len(measured.order_losses) == 3
    assert measured.order_losses[2] == pytest.approx(measured.loss, rel=1e-5)
    stream = MODEL.trace(TASK.tokens, [Site("resid_pre", 0)], positions=-1)[Site("resid_pre", 0)][:, 0]
    assert measured.order_losses[0] == pytest.approx(loss(MODEL.unembed(stream)[:, :11].double()), rel=1e-5)


def test_random_sets_are_of_other_frequencies(measured: ProgressMeasures) -> None:
    """Of the three others there are three sets of two."""
    logits = MODEL.logits(TASK.tokens)[:, -1, :11].double()
    sets = [(2, 3), (2, 5), (3, 5)]
    left = [loss(without(logits, chosen), TASK.trained) for chosen in sets]
    assert measured.random_excluded_train is not None
    assert min(left) <= measured.random_excluded_train <= max(left)
    assert measures_of(MODEL, TASK, (1, 2, 3)).random_restricted is None, "there are not as many others"


def test_an_untrained_model_has_no_key_frequencies() -> None:
    assert [keys_of(Recipe().untrained(seed), Recipe().task(seed)) for seed in range(3)] == [()] * 3


def test_nothing_is_measured_with_no_key_frequency() -> None:
    found = measures_of(MODEL, TASK, ())
    assert found.excluded_train == pytest.approx(found.train_loss)
    assert (found.embedding_key_share, found.logit_variance_explained) == (0.0, 0.0)


def test_measures_come_back_from_json(measured: ProgressMeasures) -> None:
    assert ProgressMeasures.from_json(json.loads(json.dumps(measured.to_json()))) == measured


@pytest.mark.parametrize(
    ("sizes", "expected"), [([1, 1, 1, 1], 0.0), ([0, 0, 0, 5], 0.75), ([1, 2, 3], 2 / 9), ([3, 1, 2], 2 / 9)]
)
def test_gini(sizes: list[float], expected: float) -> None:
    assert gini(torch.tensor(sizes)) == pytest.approx(expected)


def test_cosines_explain_all_of_themselves(planted_logits) -> None:
    assert variance_explained(planted_logits(11, {2: 3.0, 4: 1.0}), [3.0, 1.0]) == pytest.approx(1.0)
    assert variance_explained(planted_logits(11, {2: 3.0, 4: 1.0}), [3.0]) == pytest.approx(0.9)
