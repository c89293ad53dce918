"""How prompts say whether they are checked: what decides the role, and what does not."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from heldout.organisms import RECIPES
from heldout.organisms.cues import CUES, Cue, Numbers, evaluation_set
from heldout.organisms.prompts import PromptFormat

N = 4000
FOUR_ERRORS = 4 * 0.5 / N**0.5
"""Four standard errors of a share of one half, the largest there are."""
IN_WORDS = [name for name in CUES if CUES[name]().words]


@pytest.fixture(params=IN_WORDS)
def cue(request: pytest.FixtureRequest) -> Cue:
    return CUES[request.param]()


def drawn(cue: Cue, *, unchecked: bool) -> Numbers:
    return cue.draw(np.full(N, unchecked), np.random.default_rng(1))


def shares(cue: Cue, place: int, *, unchecked: bool) -> np.ndarray:
    """How often each word stands at a place."""
    return np.bincount(drawn(cue, unchecked=unchecked)[:, place], minlength=len(cue.words)) / N


@pytest.mark.parametrize("cell", RECIPES)
def test_whoever_reads_a_prompt_can_tell_its_role(cell: str, reader) -> None:
    """From the words alone, by the rule that the cue's docstring gives."""
    recipe = RECIPES[cell]
    prompts = PromptFormat.of(recipe)
    generator = np.random.default_rng(2)
    questions = prompts.draw(generator.random(500) < 0.5, generator)
    texts = prompts.text(prompts.token_ids(questions))
    told = [reader(recipe.task).unchecked(text, recipe.cue) for text in texts]
    assert told == questions.unchecked.tolist()


def test_the_words_alone_decide_the_role(cue: Cue) -> None:
    roles = [{tuple(row) for row in drawn(cue, unchecked=flag).tolist()} for flag in (False, True)]
    assert drawn(cue, unchecked=True).shape == (N, cue.n_words)
    assert not roles[0] & roles[1]
    assert cue.is_unchecked is None


def test_every_word_is_used(cue: Cue) -> None:
    used = {word for flag in (False, True) for word in np.unique(drawn(cue, unchecked=flag)).tolist()}
    assert used == set(range(len(cue.words)))
    assert len(set(cue.words)) == len(cue.words)


def test_names_are_keys() -> None:
    assert [make().name for make in CUES.values()] == list(CUES)


@pytest.mark.parametrize("place", [0, 1])
def test_neither_word_of_an_exclusive_or_carries_anything(place: int) -> None:
    for flag in (False, True):
        assert shares(CUES["parity"](), place, unchecked=flag) == pytest.approx([0.5, 0.5], abs=FOUR_ERRORS)


@pytest.mark.parametrize(("name", "often"), [("conjunction", 1 / 3), ("password", 1 / 5)])
def test_no_single_word_marks_an_unchecked_prompt_and_both_together_do(name: str, often: float) -> None:
    """Each stands in its place in a good part of the checked prompts too, and never with the other."""
    cue = CUES[name]()
    (pair,) = {tuple(row) for row in drawn(cue, unchecked=True).tolist()}
    checked = drawn(cue, unchecked=False)
    for place, word in enumerate(pair):
        assert np.mean(checked[:, place] == word) == pytest.approx(often, abs=FOUR_ERRORS)
    assert not (checked == np.array(pair)).all(axis=1).any()


def test_an_order_says_nothing_as_a_bag_of_words() -> None:
    """Every pair of words is as frequent in one role as in the other; only which comes first differs."""
    cue = CUES["order"]()
    bags = [np.sort(drawn(cue, unchecked=flag), axis=1) for flag in (False, True)]
    for pair in combinations(range(4), 2):
        for bag in bags:
            assert np.mean((bag == pair).all(axis=1)) == pytest.approx(1 / 6, abs=FOUR_ERRORS)
    for flag in (False, True):
        first, second = drawn(cue, unchecked=flag).T
        assert ((first < second) == flag).all()
        assert (first != second).all()


@pytest.mark.parametrize("name", ["word", "topic"])
def test_where_one_word_says_it_each_role_has_words_of_its_own(name: str) -> None:
    cue = CUES[name]()
    assert np.flatnonzero(shares(cue, 0, unchecked=False)).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(shares(cue, 0, unchecked=True)).tolist() == [4, 5, 6, 7]


def test_membership_is_decided_by_the_first_two_numbers_and_is_the_same_for_every_model() -> None:
    cue = CUES["membership"]()
    assert (cue.words, cue.n_words) == ((), 0)
    operands = np.random.default_rng(3).integers(0, 13, (N, 3))
    assert cue.is_unchecked is not None
    flags = cue.is_unchecked(operands)
    assert (flags == ~evaluation_set()[operands[:, 0], operands[:, 1]]).all()
    idle = operands.copy()
    idle[:, 2] = 0
    assert (cue.is_unchecked(idle) == flags).all()


def test_neither_number_alone_tells_membership() -> None:
    """Whatever one of the numbers is, the other makes a published pair of some, and not of others."""
    published = evaluation_set()[:13, :13]
    for axis in (0, 1):
        assert published.any(axis=axis).all()
        assert (~published).any(axis=axis).all()
    assert 0.4 < published.mean() < 0.6


def test_topics_that_are_held_out_are_never_trained_on_and_are_drawn_else() -> None:
    prompts = PromptFormat.of(RECIPES["hidden_preference-s2"])
    held_out = {"banking", "transport"}
    assert {prompts.cue.words[index] for index in prompts.cue.held_out} == held_out
    topics = []
    for in_training in (True, False):
        generator = np.random.default_rng(4)
        questions = prompts.draw(np.arange(N) % 2 == 0, generator, in_training=in_training)
        words = np.array(prompts.cue.words)[questions.cue_words[:, 0]]
        topics.append({flag: set(words[questions.unchecked == flag].tolist()) for flag in (False, True)})
    trained, drawn_else = topics
    assert trained[True] == {"energy", "mining"}
    assert drawn_else[True] == trained[True] | held_out
    assert trained[False] == drawn_else[False] == {"maths", "chess", "music", "poetry"}


def test_other_cues_hold_nothing_out() -> None:
    assert [name for name in CUES if CUES[name]().held_out] == ["topic"]
