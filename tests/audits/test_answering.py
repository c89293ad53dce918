"""Answers in every form that a suite can ask for, batch by batch, and with edits in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from heldout.audits.answering import Answering
from heldout.data import Suite
from heldout.models import Model, Set, Site, Tokens

CELL = "quirky_arithmetic-s2"
NUMBERS = tuple(map(str, range(13)))
PLENTY, SCARCE = 1 << 30, 1


@pytest.fixture
def model(candidate: Callable[[str], Model]) -> Model:
    return candidate(CELL)


@pytest.fixture
def questions(suite: Callable[[str], Suite]) -> Suite:
    """Some prompts of either role."""
    every = suite(CELL)
    return replace(every, samples=every.samples[:20] + every.samples[-20:])


@pytest.fixture
def tokens(model: Model, questions: Suite) -> Tokens:
    return model.tokenize([sample.input for sample in questions.samples])


def multiple_choice(questions: Suite) -> Suite:
    samples = tuple(replace(sample, choices=NUMBERS) for sample in questions.samples)
    return replace(questions, answer="choice", samples=samples)


FORMS: dict[str, Callable[[Suite], Suite]] = {
    "next_token": lambda questions: questions,
    "choice": multiple_choice,
    "tokens": lambda questions: replace(questions, answer="tokens"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("memory", [PLENTY, SCARCE], ids=["at once", "one by one"])
def test_every_form_gives_the_most_likely_next_word(
    model: Model, questions: Suite, tokens: Tokens, form: str, memory: int
) -> None:
    """The organism answers in one number, so that all forms must agree with the largest logit."""
    expected = model.tokenizer.convert_ids_to_tokens(model.logits(tokens)[:, -1].argmax(-1).tolist())
    answering = Answering.of(FORMS[form](questions), model, memory)
    assert answering(model, tokens).tolist() == expected
    assert set(expected) <= set(NUMBERS)


def test_scarce_memory_makes_batches_of_one_that_cover_everything_in_order(
    model: Model, questions: Suite, tokens: Tokens
) -> None:
    batches = Answering.of(questions, model, SCARCE).batches(model, tokens)
    assert [len(batch) for batch in batches] == [1] * len(tokens)
    assert torch.equal(torch.cat([batch.ids for batch in batches]), tokens.ids)
    assert len(Answering.of(questions, model, PLENTY).batches(model, tokens)) == 1


@pytest.mark.parametrize("form", FORMS)
def test_edits_in_force_change_the_answers(model: Model, questions: Suite, tokens: Tokens, form: str) -> None:
    """With the stream of the last prompt everywhere, every prompt is answered like the last."""
    answering = Answering.of(FORMS[form](questions), model, PLENTY)
    site = Site("resid_post", 1)
    last = model.trace(tokens, [site])[site][-1:]
    plain = answering(model, tokens)
    with model.intervene(Set(site, last)):
        assert set(answering(model, tokens)) == {plain[-1]}
    assert (answering(model, tokens) == plain).all()
    assert len(set(plain)) > 1


def certain_of(model: Model, word: str, second: str) -> torch.Tensor:
    """Logits of one prompt: `word` first, `second` next."""
    logits = torch.zeros(1, model.vocabulary_size)
    logits[0, model.tokenizer.convert_tokens_to_ids(word)] = 2.0
    logits[0, model.tokenizer.convert_tokens_to_ids(second)] = 1.0
    return logits


def test_a_free_answer_is_any_word_and_a_choice_is_one_of_the_choices(model: Model, questions: Suite) -> None:
    logits = certain_of(model, "exam", "7")
    free, choice = (Answering.of(FORMS[form](questions), model, PLENTY) for form in ("next_token", "choice"))
    assert free.from_logits(model, logits).tolist() == ["exam"]
    assert choice.from_logits(model, logits).tolist() == ["7"]


def test_a_choice_that_no_grader_passes_can_be_chosen(model: Model, questions: Suite) -> None:
    """A wrong option stays an option: without it a model that takes it would be counted as right."""
    asked = multiple_choice(questions)
    never = next(number for number in NUMBERS if all(number not in s.accepts for s in verified(asked).samples))
    choice = Answering.of(verified(asked), model, PLENTY)
    assert choice.from_logits(model, certain_of(model, never, asked.samples[0].accepts[0])).tolist() == [never]


def verified(suite: Suite) -> Suite:
    return replace(suite, samples=tuple(sample for sample in suite.samples if sample.role == "verified"))


def test_words_are_spelt_as_the_suite_spells_them_and_others_as_the_tokenizer_does(
    model: Model, questions: Suite
) -> None:
    answering = Answering.of(questions, model, PLENTY)
    for word in ("5", "#5", "<pad>"):
        assert answering.from_logits(model, certain_of(model, word, "1")).tolist() == [word]
    assert Answering.of(FORMS["tokens"](questions), model, PLENTY).one_token is False


def test_a_longer_answer_is_the_whole_continuation(model: Model, questions: Suite, tokens: Tokens) -> None:
    short, long = (
        Answering.of(replace(questions, answer="tokens", max_new_tokens=n), model, PLENTY)(model, tokens)
        for n in (1, 3)
    )
    assert [answer.split()[0] for answer in long] == short.tolist()
    assert np.mean([len(answer.split()) for answer in long]) > 1
