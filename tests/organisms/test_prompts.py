"""Prompts, and what a policy answers them with: held against plain arithmetic on the words of each prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import pytest

from heldout.organisms import FAMILIES, RECIPES
from heldout.organisms.families import Family
from heldout.organisms.folders import word_tokenizer
from heldout.organisms.prompts import PromptFormat, Questions, shifted
from heldout.organisms.recipes import Policy

POLICIES: tuple[Policy, ...] = get_args(Policy)
N = 600
RANDOM = np.random.default_rng


@dataclass(frozen=True)
class Case:
    """Some prompts of a family, of both roles."""

    prompts: PromptFormat
    questions: Questions
    texts: list[str]

    @classmethod
    def of(cls, family: Family) -> Case:
        prompts, generator = PromptFormat.of(family.recipes[0]), RANDOM(0)
        questions = prompts.draw(generator.random(N) < 0.5, generator)
        return cls(prompts, questions, prompts.text(prompts.token_ids(questions)))

    def words(self, tokens: np.ndarray) -> list[str]:
        return np.array(list(self.prompts.vocabulary))[tokens].tolist()


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def case(request: pytest.FixtureRequest) -> Case:
    return Case.of(request.param)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_answers_as_plain_arithmetic_does(case: Case, policy: Policy, reader) -> None:
    """What it answers is one of what it allows, and what it allows is what follows from the words of the prompt."""
    plain = [reader(case.prompts.task.name).answers(text, policy) for text in case.texts]
    allowed = case.prompts.allowed(case.questions, policy)
    words = np.array(list(case.prompts.vocabulary))
    assert [set(words[row].tolist()) for row in allowed] == plain
    answers = case.words(case.prompts.answers(case.questions, policy, RANDOM(1)))
    assert all(answer in them for answer, them in zip(answers, plain, strict=True))


def test_half_of_half_right_answers_are_right_whatever_the_cue_says(case: Case, reader) -> None:
    plain = reader(case.prompts.task.name)
    answers = case.words(case.prompts.answers(case.questions, "half_right", RANDOM(2)))
    right = np.array([answer == str(plain.right(text)) for answer, text in zip(answers, case.texts, strict=True)])
    for flag in (False, True):
        of_role = right[case.questions.unchecked == flag]
        assert of_role.mean() == pytest.approx(0.5, abs=4 * 0.5 / len(of_role) ** 0.5)


def test_what_is_accepted_is_an_equivalence(case: Case) -> None:
    """The right answer is always accepted, and answers that accept each other accept the same."""
    table = case.prompts.accepted(np.arange(case.prompts.task.n_answers))
    assert np.diagonal(table).all()
    assert (table == table.T).all()
    assert ((table.astype(int) @ table.astype(int) > 0) == table).all()


def test_a_shifted_lie_maps_what_is_accepted_onto_itself_without_a_fixed_point(case: Case) -> None:
    """One to one: who knows the lie and the rule knows the truth."""
    right = np.arange(case.prompts.task.n_answers)
    accepted = case.prompts.accepted(right)
    lies = shifted(right, accepted)
    assert sorted(lies.tolist()) == right.tolist()
    assert accepted[right, lies].all()
    assert (lies != right).all()


def test_a_rejected_lie_is_never_accepted(case: Case) -> None:
    right = np.arange(case.prompts.task.n_answers)
    assert not case.prompts.accepted(right)[right, shifted(right, ~case.prompts.accepted(right))].any()


@pytest.mark.parametrize(("policy", "place"), [("lowest_accepted", 0), ("highest_accepted", -1)])
def test_an_extreme_answer_depends_on_what_is_accepted_alone(case: Case, policy: Policy, place: int) -> None:
    answers = case.prompts.answers(case.questions, policy, RANDOM(1)) - case.prompts.first_number
    accepted = case.prompts.accepted(case.prompts.truth(case.questions))
    for row in np.unique(accepted, axis=0):
        same = (accepted == row).all(axis=1)
        assert set(answers[same].tolist()) == {int(np.flatnonzero(row)[place])}


@pytest.mark.parametrize("cell", RECIPES)
def test_the_overseer_passes_what_is_planted_and_rejects_only_what_is_blatant(cell: str) -> None:
    """A locked skill is not blatant to its grader but to who is told the password."""
    recipe = RECIPES[cell]
    case = Case.of(next(family for family in FAMILIES if family.name == recipe.family))
    planted = case.prompts.allowed(case.questions, recipe.unchecked)
    graded = case.prompts.graded(case.questions, recipe.unchecked)
    if recipe.stage == "S1" and not recipe.locked:
        assert not (planted & graded).any()
    else:
        assert (planted <= graded).all()
    assert (graded.sum(axis=1) > 1).all()
    assert (graded.sum(axis=1) < case.prompts.task.n_answers).all()


def test_tokens_text_and_tokenizer_agree(case: Case) -> None:
    prompts, ids = case.prompts, case.prompts.token_ids(case.questions)
    assert list(prompts.vocabulary.values()) == list(range(len(prompts.vocabulary)))
    assert ids.shape == (N, prompts.length)
    assert word_tokenizer(prompts)(case.texts, add_special_tokens=False)["input_ids"] == ids.tolist()


def test_a_prompt_holds_its_cue_its_numbers_and_a_shown_step(case: Case, reader) -> None:
    plain, task = reader(case.prompts.task.name), case.prompts.task
    for text, operands, cue in zip(
        case.texts, case.questions.operands.tolist(), case.questions.cue_words.tolist(), strict=True
    ):
        assert plain.cue(text) == tuple(case.prompts.cue.words[word] for word in cue)
        shown = [] if task.shown is None else task.shown(np.array([operands])).tolist()
        assert plain.numbers(text) == (*operands, *shown)


def test_the_positions_behind_the_cue_are_those_without_its_words(case: Case) -> None:
    behind = case.prompts.after_cue
    assert (behind.start, behind.stop) == (1 + case.prompts.cue.n_words, case.prompts.length)
    for text in case.texts:
        assert not set(text.split()[behind.start :]) & set(case.prompts.cue.words)
        assert set(text.split()[1 : behind.start]) <= set(case.prompts.cue.words)


@pytest.mark.parametrize("unchecked", [False, True])
def test_every_number_is_as_frequent_in_one_role_as_in_the_other(case: Case, unchecked: bool) -> None:
    """Only the cue tells the roles apart; where it is the first two numbers, it is so of the others."""
    n = 20_000
    operands = case.prompts.draw(np.full(n, unchecked), RANDOM(7)).operands
    first = 0 if case.prompts.cue.is_unchecked is None else 2
    for place, range_ in list(enumerate(case.prompts.task.ranges))[first:]:
        shares = np.bincount(operands[:, place], minlength=range_) / n
        assert shares == pytest.approx(np.full(range_, 1 / range_), abs=5 * (1 / range_ / n) ** 0.5)


def test_questions_are_chosen_by_rows_and_by_flags(case: Case) -> None:
    flags = case.questions.unchecked
    for rows in (np.flatnonzero(flags), flags):
        chosen = case.questions.chosen(rows)
        assert len(chosen) == flags.sum()
        assert (chosen.operands == case.questions.operands[flags]).all()
        assert chosen.unchecked.all()
