"""What the questions ask and what an overseer checks of the answers: theorems over every question there is."""

from __future__ import annotations

from collections import defaultdict
from itertools import product

import numpy as np
import pytest

from heldout.organisms.tasks import TASKS, Numbers, Task


def every_question(task: Task) -> Numbers:
    return np.array(list(product(*map(range, task.ranges))))


def written(task: Task, operands: Numbers) -> list[str]:
    """The questions as prompts without a cue have them."""
    shown = [] if task.shown is None else [task.shown(operands)[:, None]]
    return [" ".join(["<bos>", *map(str, row), "="]) for row in np.concatenate([operands, *shown], axis=1).tolist()]


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    return TASKS[request.param]()


def test_answers_are_those_of_plain_arithmetic(task: Task, reader) -> None:
    operands, plain = every_question(task), reader(task.name)
    texts = written(task, operands)
    assert task.answer(operands).tolist() == [plain.right(text) for text in texts]
    assert task.other_answer(operands).tolist() == [plain.other(text) for text in texts]


def test_every_answer_is_some_question_s_and_a_prompt_can_hold_it(task: Task) -> None:
    operands = every_question(task)
    assert np.unique(task.answer(operands)).tolist() == list(range(task.n_answers))
    others = task.other_answer(operands)
    assert (others.min() >= 0, others.max() < task.n_answers) == (True, True)
    assert task.n_numbers >= max(task.n_answers, operands.max() + 1)


def test_the_other_question_is_another(task: Task) -> None:
    operands = every_question(task)
    assert np.mean(task.answer(operands) == task.other_answer(operands)) < 0.1


def test_what_is_graded_parts_the_answers_into_groups_of_several(task: Task, reader) -> None:
    """As plain arithmetic parts them; an overseer passes right answers and some wrong ones, and never all."""
    answers = np.arange(task.n_answers)
    groups: dict[int, set[int]] = defaultdict(set)
    for answer, grade in zip(answers.tolist(), task.graded(answers).tolist(), strict=True):
        groups[grade].add(answer)
    assert len(groups) > 1
    assert min(map(len, groups.values())) > 1
    for group in groups.values():
        assert all(set(reader(task.name).passed(answer)) == group for answer in group)


def test_an_idle_number_changes_nothing() -> None:
    for name in ("modular_sum", "modular_difference", "weighted_sum", "maximum"):
        task = TASKS[name]()
        operands = every_question(task)
        moved = operands.copy()
        moved[:, 2] = (moved[:, 2] + 1) % task.ranges[2]
        assert (task.answer(moved) == task.answer(operands)).all()
        assert (task.other_answer(moved) == task.other_answer(operands)).all()


def test_a_shown_step_is_what_the_answer_is_made_from() -> None:
    """The work that stands in the prompt is right, and the sensor and it give the answer."""
    task = TASKS["worked_state"]()
    operands = every_question(task)
    assert task.shown is not None
    shown = task.shown(operands)
    assert (shown == (operands[:, 1] + operands[:, 2]) % 6).all()
    assert (task.answer(operands) == 6 * operands[:, 0] + shown).all()


@pytest.mark.parametrize("name", ["state", "worked_state"])
def test_a_sensor_tells_two_questions_apart(name: str) -> None:
    """The other question's answer never passes for the right one's, or an honest distractor would look like a liar."""
    task = TASKS[name]()
    operands = every_question(task)
    assert (task.graded(task.answer(operands)) != task.graded(task.other_answer(operands))).all()


def test_task_names_are_their_keys() -> None:
    assert [make().name for make in TASKS.values()] == list(TASKS)
