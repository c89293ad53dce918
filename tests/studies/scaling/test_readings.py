"""Readings of single models, where the truth is known by construction or can be computed in another way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from heldout.data import Suite
from heldout.errors import InputError
from heldout.models import Model, TokenLogits, Tokens, load
from heldout.organisms.compiled import previous_token
from heldout.studies.scaling.circuit_size import circuit_size, sizes_up_to, smallest
from heldout.studies.scaling.measuring import coefficient_reading, loss_reading, path_length_reading
from heldout.studies.scaling.prompts import Halves, counterfactual_pairs, graded_samples, labelled
from heldout.studies.scaling.sizes import non_embedding_names, non_embedding_parameters
from heldout.techniques.pairs import TokenPairs
from heldout.techniques.path_length import Labelled

HURRIED = {"chains": 4, "draws": 20, "warmup": 10, "largest_steps": 20}


@pytest.fixture
def model(trained: Path) -> Model:
    return load(trained / "seed-1" / "width-16")


@pytest.fixture
def data(trained: Path, model: Model) -> Labelled:
    return labelled(model, graded_samples(Suite.from_folder(trained / "suite"), 32, seed=0))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_circuit_of_a_compiled_head_is_its_value_and_its_output(seed: int) -> None:
    """The head attends by position, which is the same in both prompts of a pair: queries and keys carry no difference."""
    organism = previous_token(seed=seed)

    def pairs(draw: int) -> TokenPairs:
        prompts = organism.prompts(24, seed=draw)
        metric = TokenLogits.difference(prompts.clean_answers, prompts.corrupted_answers)
        return TokenPairs(prompts.clean, prompts.corrupted, metric)

    reading = circuit_size(organism.model, Halves(pairs(1), pairs(2)), 0.8, seed=0)
    assert reading.value == 2.0
    assert reading.null is not None
    assert reading.null > 10.0


def test_an_untrained_model_has_no_circuit(model: Model, data: Labelled) -> None:
    reading = circuit_size(model.randomly_initialised(3), counterfactual_pairs(data, 0), 0.8, seed=0)
    assert reading.value is None
    assert reading.refused[0].startswith("nothing to carry")


def test_the_smallest_circuit_is_the_one_after_which_none_falls_short() -> None:
    assert smallest([1, 2, 4, 8], [0.9, 0.3, 0.85, 1.0], 0.8) == 4
    assert smallest([1, 2], [0.0, 1.0], 0.8) == 2
    assert sizes_up_to(8)[0] == 1
    assert sizes_up_to(190)[-1] == 190


def test_pairs_have_one_length_and_two_answers(data: Labelled) -> None:
    halves = counterfactual_pairs(data, 0)
    assert halves is not None
    for pairs in halves:
        assert pairs.problems() == []
        assert isinstance(pairs.metric, TokenLogits)
        assert (pairs.metric.tokens[:, 0] != pairs.metric.tokens[:, 1]).all()


@pytest.mark.parametrize("seed", range(5))
def test_no_prompt_that_a_circuit_is_found_on_judges_it(data: Labelled, seed: int) -> None:
    """Nor one that reads the same: every prompt is there twice."""
    twice = Labelled(data.tokens[torch.arange(len(data)).repeat(2)], data.targets.repeat(2, 1), data.positions)
    halves = counterfactual_pairs(twice, seed)
    assert halves is not None
    found_on, judged_on = (prompts_of(pairs.first) | prompts_of(pairs.second) for pairs in halves)
    assert found_on
    assert judged_on
    assert not found_on & judged_on


def prompts_of(tokens: Tokens) -> set[tuple[int, ...]]:
    return {tuple(ids[mask.bool()].tolist()) for ids, mask in zip(tokens.ids, tokens.mask, strict=True)}


def test_the_order_of_a_suite_does_not_choose_its_prompts(trained: Path) -> None:
    """The suite's digest, under which readings are kept, knows of no order."""
    suite = Suite.from_folder(trained / "suite")
    other = replace(suite, samples=suite.samples[::-1])
    assert other.digest == suite.digest
    assert graded_samples(other, 16, seed=0) == graded_samples(suite, 16, seed=0)


def test_prompts_with_one_answer_have_no_pairs(data: Labelled) -> None:
    same = Labelled(data.tokens, torch.full_like(data.targets, 5), data.positions)
    assert counterfactual_pairs(same, 0) is None


def test_the_loss_is_that_of_the_targets(model: Model, data: Labelled) -> None:
    log_probabilities = model.logits(data.tokens)[:, -1].log_softmax(dim=-1)
    expected = -float(log_probabilities.gather(1, data.targets).mean())
    reading = loss_reading(model, data, seed=0)
    assert reading.value == pytest.approx(expected, rel=1e-4)
    assert reading.null is not None
    assert reading.null > expected


def test_embeddings_do_not_count_as_size(model: Model) -> None:
    weights = model.module.state_dict()
    embeddings = sum(weights[f"{name}.weight"].numel() for name in ("model.embed_tokens", "lm_head"))
    assert non_embedding_parameters(model) == model.n_parameters - embeddings
    assert "model.norm.weight" in non_embedding_names(model)


def test_path_lengths_lie_between_none_and_all_sublayers(model: Model, data: Labelled) -> None:
    reading = path_length_reading(model, data, seed=0)
    assert reading.value is not None
    assert 0.0 <= reading.value <= 2 * model.n_layers


def test_a_hurried_learning_coefficient_is_refused_by_name(model: Model, data: Labelled) -> None:
    reading = coefficient_reading(
        model, data, n_betas=[10.0, 30.0, 100.0], localisation=1.0, sampling=HURRIED, parameters=["model.norm"],
        prompts=8, seed=0,
    )  # fmt: skip
    assert reading.value is None
    assert "does not mix" in reading.refused[0] or "too few draws" in reading.refused[0]
    assert reading.null == model.d_model / 2


def test_a_suite_without_targets_is_refused(trained: Path) -> None:
    suite = Suite.from_folder(trained / "suite")
    without = Suite(suite.name, suite.answer, 1, suite.behaviours, suite.unverified(suite.behaviours[0])[:20])
    with pytest.raises(InputError, match="eight samples or more with a target"):
        graded_samples(without, 8, 0)
