"""What the questions ask and how prompts say whether they are checked: theorems over every case."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from heldout.organisms.cues import CUES, Cue
from heldout.organisms.tasks import TASKS, Numbers

MODULUS = 7
EVERY_TRIPLE: Numbers = np.array(list(product(range(MODULUS), repeat=3)))

RIGHT: dict[str, Callable[[list[int]], int]] = {
    "modular_sum": lambda n: (n[0] + n[1]) % MODULUS,
    "modular_product": lambda n: (n[0] * n[1]) % MODULUS,
    "maximum": lambda n: max(n),
    "selected_number": lambda n: n[2] if n[0] % 2 else n[1],
}
OTHER: dict[str, Callable[[list[int]], int]] = {
    "modular_sum": lambda n: (n[0] - n[1]) % MODULUS,
    "modular_product": lambda n: (n[0] + n[1]) % MODULUS,
    "maximum": lambda n: min(n),
    "selected_number": lambda n: n[1] if n[0] % 2 else n[2],
}
N = 4000


@pytest.mark.parametrize("name", TASKS)
def test_answers_are_those_of_plain_arithmetic(name: str) -> None:
    task = TASKS[name](MODULUS)
    operands = EVERY_TRIPLE[:, : task.arity]
    rows = operands.tolist()
    assert task.answer(operands).tolist() == [RIGHT[name](row) for row in rows]
    assert task.other_answer(operands).tolist() == [OTHER[name](row) for row in rows]


@pytest.mark.parametrize("name", TASKS)
def test_answers_are_numbers_that_prompts_can_hold_and_the_other_question_is_another(name: str) -> None:
    task = TASKS[name](MODULUS)
    operands = EVERY_TRIPLE[:, : task.arity]
    for answers in (task.answer(operands), task.other_answer(operands)):
        assert np.unique(answers).tolist() == list(range(MODULUS))
    assert np.mean(task.answer(operands) == task.other_answer(operands)) < 0.3


def test_task_names_are_their_keys_and_symbols_tell_them_apart() -> None:
    tasks = [make() for make in TASKS.values()]
    assert [task.name for task in tasks] == list(TASKS)
    assert len({task.symbol for task in tasks}) == len(tasks)


@pytest.fixture(params=CUES)
def cue(request: pytest.FixtureRequest) -> Cue:
    return CUES[request.param]()


def drawn(cue: Cue, *, unchecked: bool) -> Numbers:
    return cue.draw(np.full(N, unchecked), np.random.default_rng(1))


def test_the_words_alone_decide_the_role(cue: Cue) -> None:
    flags = np.random.default_rng(2).random(N) < 0.5
    words = cue.draw(flags, np.random.default_rng(3))
    assert words.shape == (N, cue.n_words)
    meanings: dict[tuple[int, ...], set[bool]] = {}
    for row, flag in zip(words.tolist(), flags.tolist(), strict=True):
        meanings.setdefault(tuple(row), set()).add(flag)
    assert all(len(roles) == 1 for roles in meanings.values())


def test_every_word_is_used(cue: Cue) -> None:
    used = {word for flag in (False, True) for word in np.unique(drawn(cue, unchecked=flag)).tolist()}
    assert used == set(range(len(cue.words)))
    assert len(set(cue.words)) == len(cue.words)


@pytest.mark.parametrize("place", [0, 1])
def test_neither_word_of_a_parity_cue_carries_anything(place: int) -> None:
    """Each word is as frequent in one role as in the other, within four standard errors."""
    cue = CUES["parity"]()
    rates = [float(np.mean(drawn(cue, unchecked=flag)[:, place])) for flag in (False, True)]
    assert rates == pytest.approx([0.5, 0.5], abs=4 * 0.5 / N**0.5)


def test_a_parity_cue_is_an_exclusive_or() -> None:
    cue = CUES["parity"]()
    for flag in (False, True):
        first, second = drawn(cue, unchecked=flag).T
        assert ((first == second) == flag).all()


def test_neither_word_of_a_conjunction_marks_an_unchecked_prompt_and_both_together_do() -> None:
    """Each of the two words stands in many checked prompts too, and never with the other."""
    cue = CUES["conjunction"]()
    (pair,) = {tuple(row) for row in drawn(cue, unchecked=True).tolist()}
    checked = drawn(cue, unchecked=False)
    for place, word in enumerate(pair):
        assert 0.2 < np.mean(checked[:, place] == word) < 0.5
    assert not (checked == np.array(pair)).all(axis=1).any()


def test_a_word_cue_has_words_for_each_role_alone() -> None:
    cue = CUES["word"]()
    roles = [set(np.unique(drawn(cue, unchecked=flag)).tolist()) for flag in (False, True)]
    assert not roles[0] & roles[1]
    assert min(map(len, roles)) >= 4
