"""The published model (neelnanda-io/Grokking, grokking_wd_10-1.pth) against the numbers that are known of it.

They were measured with another implementation: see the paper, arXiv 2301.05217, for what they are.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from heldout.models import Model, Site
from heldout.studies.grokking import ModularAddition, ProgressMeasures, Subspace, measures_of, subspace_losses
from heldout.studies.grokking.fourier import real_basis
from heldout.studies.grokking.measures import keys_of, neuron_logits

Published = tuple[Model, ModularAddition]
KEY_COSINES = {23: 31.3, 6: 9.37, 37: 6.80, 41: 6.07, 39: 5.05}
KEYS = tuple(KEY_COSINES)


@pytest.fixture(scope="module")
def measured(published: Published) -> ProgressMeasures:
    return measures_of(*published, KEYS)


def near(value: float) -> object:
    """To three digits, as the references are given."""
    return pytest.approx(value, rel=0.5e-2)


def test_its_key_frequencies_are_found_the_top_one_first(published: Published) -> None:
    assert keys_of(*published) == KEYS


def test_its_losses(measured: ProgressMeasures) -> None:
    assert measured.train_loss == pytest.approx(9.2024e-9, rel=0.01)
    assert measured.test_loss == pytest.approx(4.9884e-7, rel=0.01)
    assert measured.train_accuracy == measured.test_accuracy == 1.0


def test_its_logits_are_five_cosines(measured: ProgressMeasures) -> None:
    for frequency, cosine in KEY_COSINES.items():
        found = measured.frequencies[frequency - 1]
        assert found.logit_cosine == near(cosine)
        assert abs(found.logit_sine) < 0.1
    assert measured.logit_variance_explained == near(0.975)


def test_the_key_frequencies_suffice_and_are_needed(measured: ProgressMeasures) -> None:
    assert measured.restricted == near(2.2e-9)
    assert measured.loss == near(3.52e-7)
    assert measured.excluded_train == near(8.385)
    assert measured.excluded_test == near(9.318)
    assert measured.random_excluded_train == pytest.approx(measured.train_loss, rel=0.2)
    assert measured.random_restricted is not None
    assert measured.random_restricted > 4.7, "about chance, log 113"


def test_its_weights(measured: ProgressMeasures) -> None:
    assert measured.neuron_logit_key_share == near(0.990)
    assert measured.embedding_key_share == near(0.830)
    assert measured.embedding_gini == near(0.539)
    assert measured.neuron_logit_gini == near(0.758)
    assert measured.sum_of_squares == near(1181)
    assert (measured.single_frequency_neurons, measured.neurons) == (185, 512)


def test_its_path_order_is_two(published: Published, measured: ProgressMeasures) -> None:
    """Against the two sublayers called by hand; the references, of a sample of pairs, are 5.04, 9.21 and about 0."""
    model, task = published
    module, layer = model.module, model.module.layers[0]  # type: ignore[union-attr, index]
    stream = module.embed(task.tokens.ids) + module.embed_position.weight  # type: ignore[operator, union-attr]
    visible = torch.ones(3, 3, dtype=torch.bool).tril()[None, None]
    attended = layer.attention(stream, attention_mask=visible)[0][:, -1]  # type: ignore[operator, union-attr]
    last = stream[:, -1]
    streams = (last, last + attended + layer.mlp(last), last + attended + layer.mlp(last + attended))  # type: ignore[operator, union-attr]
    for order, (by_hand, reference) in enumerate(zip(streams, (5.04, 9.21, 0.0), strict=True)):
        logits = module.unembed(by_hand)[:, : task.modulus].double()  # type: ignore[operator, union-attr]
        expected = float(nn.functional.cross_entropy(logits, task.sums))
        assert measured.order_losses[order] == pytest.approx(expected, rel=1e-3, abs=1e-7)
        assert measured.order_losses[order] == pytest.approx(reference, rel=0.015, abs=1e-5)


def test_the_hypothesis_holds_among_its_neurons(published: Published) -> None:
    """The directions in which W_L reads the neurons at key frequencies, cut out of the forward pass."""
    model, task = published
    waves = real_basis(task.modulus)[[row for key in KEYS for row in (2 * key - 1, 2 * key)]]
    subspace = Subspace.spanned_by(Site("mlp_post", 0), waves @ neuron_logits(model, task), positions=-1)
    found = subspace_losses(model, task.labelled, subspace, draws=2)
    assert found.rank == 10, "cos and sin of five frequencies"
    assert found.restricted < found.full < 1e-3 < 4.7 < found.excluded
    assert max(found.random_excluded) < 1e-3
    assert min(found.random_restricted) > 4
