"""What is read of activations and predictions, against plain computations and a topic that was planted."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from heldout.data import Sample
from heldout.errors import InputError
from heldout.models import Model, Site, Tokens
from heldout.studies.diff.activation_lens import FIRST_TOKENS, LensReading, lens_readings
from heldout.studies.diff.behaviour import behaviour_of
from heldout.studies.diff.divergence import ANSWER, divergence
from heldout.studies.diff.language import TOPICS
from heldout.studies.diff.pairing import paired
from heldout.studies.diff.prompts import Prompts


def topic_push(model: Model, reading: LensReading) -> dict[str, float]:
    return {
        name: float(np.mean([reading.pushes[model.answer_token(word)] for word in topic.words]))
        for name, topic in TOPICS.items()
    }


def test_activations_are_pushed_to_the_planted_topic(base: Model, tuned: Model, everyday: Prompts, planted) -> None:
    (reading,) = lens_readings(paired(base, tuned, everyday.texts), everyday, seed=0)
    pushes = topic_push(base, reading)
    assert max(pushes, key=lambda name: pushes[name]) == planted.topic
    others = [push for name, push in pushes.items() if name != planted.topic]
    assert pushes[planted.topic] > 2 * max(others)
    named = [token.text for token in reading.tokens[:10]]
    assert sum(word in TOPICS[planted.topic].words for word in named) >= 6


def test_the_shift_is_larger_than_that_of_fine_tunes_on_nothing_new(
    base: Model, tuned: Model, twins: list[Model], everyday: Prompts
) -> None:
    own, *others = (
        lens_readings(paired(base, model, everyday.texts), everyday, seed=0)[0] for model in (tuned, *twins)
    )
    assert own.shift > max(other.shift for other in others)


def test_the_lens_is_the_final_norm_and_the_unembedding(base: Model, tuned: Model, everyday: Prompts) -> None:
    """Pushes are in the order of the unembedded difference, and differences of two texts add up."""
    (reading,) = lens_readings(paired(base, tuned, everyday.texts), everyday, seed=0)
    ids = torch.tensor(base.tokenizer(list(everyday.texts))["input_ids"][0][: FIRST_TOKENS + 1])
    rows = [base.tokenizer(text)["input_ids"][: len(ids)] for text in everyday.texts]
    rows = [row for row in rows if len(row) == len(ids)]
    tokens = Tokens.from_ids(torch.tensor(rows))
    site = Site("resid_post", reading.layer)
    here, there = (model.trace(tokens, [site], logits=False)[site][:, 1:] for model in (base, tuned))
    mean = (there - here).mean(dim=(0, 1))
    logits = base.unembed(mean[None])[0]
    assert np.corrcoef(logits.numpy(), reading.pushes)[0, 1] == pytest.approx(1.0, abs=1e-4)
    assert reading.shift == pytest.approx(float(mean.norm()) / float(here.norm(dim=-1).mean()), rel=1e-4)


def test_identical_models_have_no_shift(base: Model, everyday: Prompts) -> None:
    (reading,) = lens_readings(paired(base, base, everyday.texts), everyday, seed=0)
    assert reading.shift == 0.0
    assert reading.nulls == ()
    assert not np.any(reading.pushes)


def test_divergence_is_that_of_a_plain_loop(base: Model, tuned: Model, asked: Prompts) -> None:
    found = divergence(paired(base, tuned, asked.texts), asked)
    for row in (0, 5, 17):
        tokens = base.tokenize(asked.texts[row])
        here, there = (model.logits(tokens, last=tokens.length)[0].double().softmax(-1) for model in (base, tuned))
        expected = (there * (there.log() - here.log())).sum(-1)
        assert found.values[row] == pytest.approx(expected.numpy(), abs=1e-6)
        assert found.kinds[row][-1] == found.following[row][-1] == ANSWER
        assert found.following[row][:-1] == tuple(asked.texts[row].split())


def test_divergence_of_a_model_from_itself_is_zero(base: Model, asked: Prompts) -> None:
    assert all(not values.any() for values in divergence(paired(base, base, asked.texts), asked).values)


def test_kinds_are_told_apart(base: Model, tuned: Model, everyday: Prompts) -> None:
    kinds = divergence(paired(base, tuned, everyday.texts), everyday).by_kind()
    assert set(kinds) == {"word", "punctuation", "the end"}


def test_a_diverged_model_is_named(base: Model, asked: Prompts) -> None:
    module = copy.deepcopy(base.module)
    module.get_submodule("lm_head").weight.data[3] = float("nan")
    with pytest.raises(InputError, match=r"weights of broken that are NaN or infinite: lm_head\.weight"):
        paired(base, Model(module, base.tokenizer, name="broken"), asked.texts)


def test_accepted_answers_are_summed(base: Model) -> None:
    accepted = ("red", "blue", "green")
    sample = Sample("s", "the rose was", None, "unverified", "colours", accepted)
    behaviour = behaviour_of(base, Prompts("made up", "sha256:0", (sample.input,) * 2, (sample, sample)))
    probabilities = base.logits(base.tokenize("the rose was"))[0, -1].double().softmax(-1)
    expected = float(sum(probabilities[base.answer_token(answer)] for answer in accepted).log())
    assert behaviour.values(base) == pytest.approx([expected, expected], abs=1e-6)


def test_answers_of_several_tokens_are_scored_token_by_token(base: Model) -> None:
    samples = tuple(
        Sample(prompt, prompt, None, "unverified", "ends", ("grew .", "bloomed ."))
        for prompt in ("the rose", "then a tulip")
    )
    behaviour = behaviour_of(base, Prompts("made up", "sha256:0", tuple(each.input for each in samples), samples))
    found = behaviour.values(base)
    for place, sample in enumerate(samples):
        total = 0.0
        for answer in sample.accepts:
            tokens = base.tokenize(f"{sample.input} {answer}")
            logarithms = base.logits(tokens, last=3)[0, :-1].double().log_softmax(-1)
            total += float(logarithms.gather(1, tokens.ids[0, -2:, None]).sum().exp())
        assert found[place] == pytest.approx(np.log(total), abs=1e-6)


def test_a_text_is_scored_by_its_own_tokens(base: Model, everyday: Prompts) -> None:
    found = behaviour_of(base, everyday).values(base)
    tokens = base.tokenize(everyday.texts[3])
    logarithms = base.logits(tokens, last=tokens.length)[0].double().log_softmax(-1)
    expected = logarithms[:-1].gather(1, tokens.ids[0, 1:, None]).mean()
    assert found[3] == pytest.approx(float(expected), abs=1e-6)
