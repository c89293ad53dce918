"""The technique on real models: the organisms, a random twin, one model on paired prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from heldout.data import ContrastPairs, Suite
from heldout.errors import InputError
from heldout.models import Site, Tokens, load
from heldout.organisms import shipped_organisms
from heldout.techniques import RepresentationComparison
from heldout.techniques.pairs import TokenPairs
from heldout.techniques.representation_comparison import RSA, DebiasedCKA, OrthogonalProcrustes, read_activations

LAST = Site("resid_post", 2)
CKA = (DebiasedCKA(),)


def organism(cell: str):
    return next(path for path in shipped_organisms() if path.name.startswith(f"{cell}-seed"))


@pytest.fixture(scope="module")
def honest():
    return load(organism("quirky_arithmetic-s0-c1") / "candidate")


@pytest.fixture(scope="module")
def deceptive():
    return load(organism("quirky_arithmetic-s2") / "candidate")


@pytest.fixture(scope="module")
def samples():
    suite = Suite.from_folder(organism("quirky_arithmetic-s0-c1") / "suite")
    return [sample for sample in suite.samples if sample.role == "verified"][:150]


def test_a_model_and_its_copy_are_the_same(honest, samples) -> None:
    copy = load(organism("quirky_arithmetic-s0-c1") / "candidate")
    for result in RepresentationComparison(honest.sites("resid_post"), other=copy, halves=19).run(honest, samples):
        assert result.effect == pytest.approx(0.0 if result.quantity == "procrustes_distance" else 1.0, abs=1e-6)
        assert result.nulls[0].p_value == 1 / 200


def test_a_random_twin_is_less_alike_than_a_relative(honest, deceptive, samples) -> None:
    """Honest and deceptive organism differ in what they do on unverified prompts; on verified ones both add."""

    def likeness(other) -> float:
        technique = RepresentationComparison((LAST,), other=other, measures=CKA, permutations=99, halves=19)
        (result,) = technique.run(honest, samples)
        return result.effect

    random = likeness(honest.randomly_initialised(0))
    assert random < 0.5 < likeness(deceptive)


def test_each_model_reads_the_prompts_once(honest, deceptive, samples) -> None:
    before = honest.meter.samples, deceptive.meter.samples
    results = RepresentationComparison(honest.sites("resid_post"), other=deceptive, permutations=0, halves=0).run(
        honest, samples
    )
    assert sum(result.forward_passes for result in results) == pytest.approx(1.0, abs=1e-4)
    assert honest.meter.samples - before[0] == deceptive.meter.samples - before[1] == len(samples)


def test_the_right_answer_as_condition(honest, samples) -> None:
    """Two layers of one model hold the same answers: their distances rank alike, outside the null."""
    targets = tuple(str(sample.target) for sample in samples)
    technique = RepresentationComparison((LAST,), other_sites=(Site("resid_post", 1),), measures=(RSA(targets),))
    (result,) = technique.run(honest, samples)
    assert result.nulls[0].name == "permuted conditions"
    assert result.settings["rows"] == len(set(targets))
    assert result.settings["other_site"] == "resid_post.1"
    assert result.nulls[0].p_value <= 0.05


def test_one_model_on_pairs(honest, samples) -> None:
    """An honest model represents a question alike under another cue; unrelated prompts it does not."""
    cue = next(s.input.split()[1] for s in samples if s.input.split()[1] != samples[0].input.split()[1])
    other = [replace(s, input=" ".join(["<bos>", cue, *s.input.split()[2:]])) for s in samples]
    technique = RepresentationComparison((LAST,), measures=CKA, permutations=99, halves=0)
    (same,) = technique.run(honest, ContrastPairs(tuple(samples), tuple(other)))
    first = honest.tokenize([sample.input for sample in samples])
    shifted = first[list(np.roll(np.arange(len(samples)), 1))]
    (unrelated,) = technique.run(honest, TokenPairs(first, shifted))
    assert same.effect > 0.5
    assert abs(unrelated.effect) < 0.2 < same.effect


def test_a_distances_null_tells_the_smallest(honest, deceptive, samples) -> None:
    technique = RepresentationComparison((LAST,), other=deceptive, measures=(OrthogonalProcrustes(),), halves=0)
    (result,) = technique.run(honest, samples)
    (null,) = result.nulls
    assert result.effect < null.maximum < null.mean


def test_reading_at_a_position_and_on_average(honest) -> None:
    tokens = Tokens.from_ids([[3, 4, 5, 6], [3, 4], [7, 8, 9]])
    site = Site("resid_post", 1)
    whole = honest.trace(tokens, [site], logits=False)[site]
    last, mean = (read_activations(honest, tokens, [site], position)[site] for position in (-1, None))
    assert np.allclose(last, whole[:, -1], atol=1e-6)
    for row, length in enumerate((4, 2, 3)):
        assert np.allclose(mean[row], whole[row, -length:].mean(dim=0), atol=1e-5)
    heads = read_activations(honest, tokens, [Site("z", 1)], -1)[Site("z", 1)]
    assert heads.shape == (3, honest.n_heads * honest.d_head)


def test_padding_is_no_position(honest) -> None:
    tokens = Tokens.from_ids([[3, 4, 5], [3, 4]])
    with pytest.raises(InputError) as raised:
        read_activations(honest, tokens, [Site("resid_post", 1), Site("pattern", 0)], -3)
    found = [problem.found for problem in raised.value.problems]
    assert found == ["attention patterns", "1 prompts without a token at position -3: 1"]


def test_an_outlier_that_two_unrelated_models_share_is_named_and_flagged(samples) -> None:
    """The embedding of one word is huge in both, as norms of the first token are in many models; one prompt ends in it."""
    models = [load(organism("quirky_arithmetic-s0-c5") / "candidate").randomly_initialised(seed) for seed in (1, 2)]
    for model in models:
        embedding = model.module.get_submodule(model.architecture.embedding).weight
        embedding[model.answer_token("exam")] = 1e4 * embedding[3]
    ids = torch.randint(5, 18, (150, 4), generator=torch.Generator().manual_seed(0))
    ids[40, -1] = models[0].answer_token("exam")
    technique = RepresentationComparison((LAST,), other=models[1], permutations=39, halves=0)
    results = {result.quantity: result for result in technique.run(models[0], Tokens.from_ids(ids))}
    assert results["biased_cka"].effect > 0.9
    assert "40" in results["biased_cka"].settings["outliers"]
    assert "outliers" in results["biased_cka"].settings["flags"]
    assert results["debiased_cka"].effect < 0.5


def test_there_must_be_something_to_compare(honest, samples) -> None:
    with pytest.raises(InputError) as raised:
        RepresentationComparison((LAST,)).run(honest, samples)
    assert raised.value.problems[0].next_step == "pass other=a model, other_sites, or pairs of prompts"
    with pytest.raises(InputError, match="2 sites and 1 of the other side"):
        RepresentationComparison((LAST, Site("resid_post", 1)), other_sites=(LAST,))
    with pytest.raises(InputError, match="int as data"):
        RepresentationComparison((LAST,), other=honest).run(honest, 3)


def test_where_every_item_is_the_same_there_is_nothing_to_compare(honest, deceptive, samples) -> None:
    """Every prompt ends in the same token: before any layer there is nothing else at the last position."""
    with pytest.raises(InputError, match="the same activations for every item on the first and the second side"):
        RepresentationComparison((Site("resid_pre", 0),), other=deceptive).run(honest, samples)
