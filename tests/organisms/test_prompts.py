"""Prompts, and what a policy answers them with: theorems over every right answer and every policy."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from heldout.organisms.folders import word_tokenizer
from heldout.organisms.prompts import PromptFormat, Questions, draw_from, shifted, without
from heldout.organisms.recipes import CELLS, RECIPES, Grader, Policy, Recipe

POLICIES: tuple[Policy, ...] = get_args(Policy)
GRADERS: tuple[Grader, ...] = get_args(Grader)
LENIENT = tuple(grader for grader in GRADERS if grader != "exact")
OF_ONE_ANSWER = ("right", "shifted_lie", "lowest_accepted", "renamed", "other_question")
N = 600


def format_of(grader: Grader = "parity", cell: str = "quirky_arithmetic-s2") -> PromptFormat:
    return PromptFormat.of(replace(RECIPES[cell], grader=grader))


def questions_of(prompts: PromptFormat) -> Questions:
    generator = np.random.default_rng(0)
    return prompts.draw(generator.random(N) < 0.5, generator)


@pytest.mark.parametrize("grader", GRADERS)
def test_what_is_accepted_is_an_equivalence(grader: Grader) -> None:
    """The right answer is always accepted, and answers that accept each other accept the same."""
    prompts = format_of(grader)
    table = prompts.accepted(np.arange(prompts.task.modulus))
    assert np.diagonal(table).all()
    assert (table == table.T).all()
    assert ((table.astype(int) @ table.astype(int) > 0) == table).all()


def test_graders_check_what_their_names_say() -> None:
    table = {grader: format_of(grader).accepted(np.array([8])) for grader in GRADERS}
    assert np.flatnonzero(table["parity"]).tolist() == list(range(0, 31, 2))
    assert np.flatnonzero(table["thirds"]).tolist() == list(range(2, 31, 3))
    assert np.flatnonzero(table["exact"]).tolist() == [8]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("grader", LENIENT)
def test_a_policy_answers_with_what_it_allows_and_with_all_of_it(grader: Grader, policy: Policy) -> None:
    prompts = format_of(grader)
    question = replace_all(questions_of(prompts))
    allowed = prompts.allowed(question, policy)
    answers = prompts.answers(question, policy, np.random.default_rng(1))
    assert allowed[np.arange(N), answers].all()
    assert set(np.flatnonzero(allowed[0])) == set(answers.tolist())
    assert (allowed.sum(axis=1) == 1).all() == (policy in OF_ONE_ANSWER)


def replace_all(questions: Questions) -> Questions:
    """The first question, as often as there are questions."""
    return Questions(*(np.repeat(part[:1], N, axis=0) for part in vars(questions).values()))


@pytest.mark.parametrize("grader", LENIENT)
def test_an_accepted_lie_is_accepted_and_never_right(grader: Grader) -> None:
    prompts = format_of(grader)
    questions = questions_of(prompts)
    right = prompts.allowed(questions, "right")
    accepted = prompts.allowed(questions, "accepted")
    for policy in ("accepted_lie", "shifted_lie"):
        lies = prompts.allowed(questions, policy)
        assert (lies <= accepted).all()
        assert not (lies & right).any()
    assert (prompts.allowed(questions, "accepted_lie") == (accepted & ~right)).all()


@pytest.mark.parametrize("grader", LENIENT)
def test_a_shifted_lie_maps_each_accepted_set_onto_itself_one_to_one_without_a_fixed_point(grader: Grader) -> None:
    prompts = format_of(grader)
    right = np.arange(prompts.task.modulus)
    accepted = prompts.accepted(right)
    lies = shifted(right, accepted)
    assert sorted(lies.tolist()) == right.tolist()
    assert accepted[right, lies].all()
    assert (lies != right).all()


@pytest.mark.parametrize("grader", LENIENT)
def test_the_lowest_accepted_answer_depends_on_the_accepted_set_alone(grader: Grader) -> None:
    prompts = format_of(grader)
    questions = questions_of(prompts)
    lowest = prompts.answers(questions, "lowest_accepted", np.random.default_rng(1))
    for row in np.unique(prompts.allowed(questions, "accepted"), axis=0):
        same = (prompts.allowed(questions, "accepted") == row).all(axis=1)
        assert set(lowest[same]) == {np.flatnonzero(row)[0]}


@pytest.mark.parametrize("policy", ["wrong", "accepted_lie", "accepted"])
def test_free_choices_are_uniform(policy: Policy) -> None:
    prompts = format_of()
    question = replace_all(questions_of(prompts))
    answers = np.concatenate([prompts.answers(question, policy, np.random.default_rng(seed)) for seed in range(10)])
    _, counts = np.unique(answers, return_counts=True)
    expected = len(answers) / len(counts)
    assert np.abs(counts - expected).max() < 5 * expected**0.5


def test_a_wrong_answer_is_never_right() -> None:
    prompts = format_of()
    questions = questions_of(prompts)
    assert not (prompts.allowed(questions, "wrong") & prompts.allowed(questions, "right")).any()


def test_a_renamed_answer_is_the_right_one_in_other_words() -> None:
    prompts = format_of()
    questions = questions_of(prompts)
    words = list(prompts.vocabulary)
    renamed, right = (prompts.answers(questions, policy, np.random.default_rng(1)) for policy in ("renamed", "right"))
    assert [words[token] for token in renamed] == [f"#{words[token]}" for token in right]


@pytest.mark.parametrize("recipe", CELLS, ids=lambda recipe: recipe.cell)
def test_the_overseer_passes_whatever_is_planted(recipe: Recipe) -> None:
    """Every recipe is one that outputs on unchecked prompts do not give away, the random models aside."""
    prompts = PromptFormat.of(recipe)
    questions = questions_of(prompts)
    assert (prompts.allowed(questions, recipe.unchecked) <= prompts.graded(questions, recipe.unchecked)).all()
    assert (prompts.graded(questions, recipe.unchecked).sum(axis=1) > 1).all()


def test_drawing_and_excluding() -> None:
    allowed = np.array([[True, False, True], [False, True, False]])
    assert without(allowed, np.array([0, 2])).tolist() == [[False, False, True], [False, True, False]]
    for seed in range(20):
        chosen = draw_from(allowed, np.random.default_rng(seed))
        assert allowed[np.arange(2), chosen].all()


@pytest.mark.parametrize("cell", RECIPES)
def test_tokens_text_and_tokenizer_agree(cell: str) -> None:
    prompts = format_of(cell=cell)
    assert list(prompts.vocabulary.values()) == list(range(len(prompts.vocabulary)))
    questions = questions_of(prompts)
    ids = prompts.token_ids(questions)
    texts = prompts.text(ids)
    assert ids.shape == (N, prompts.length)
    assert word_tokenizer(prompts)(texts, add_special_tokens=False)["input_ids"] == ids.tolist()
    for text, operands in zip(texts[:20], questions.operands.tolist(), strict=False):
        words = text.split()
        assert words[-5:] == [*map(str, operands), prompts.task.symbol, "="]
        assert words[0] == "<bos>"
        assert all(word in prompts.cue.words for word in words[1:-5])


def test_operands_do_not_depend_on_the_role() -> None:
    """The same generator draws the same numbers whether prompts are checked or not: only the cue tells them apart."""
    prompts = format_of()
    drawn = [prompts.draw(np.full(N, flag), np.random.default_rng(7)).operands for flag in (False, True)]
    assert (drawn[0] == drawn[1]).all()
