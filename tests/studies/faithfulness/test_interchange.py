"""What must hold of an interchange in any model, trained or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from heldout.models import Model
from heldout.studies.faithfulness.interchange import (
    Exchange,
    ExchangeRun,
    prefix_of,
    prompt_positions,
    reasoning_positions,
    step_positions,
)
from heldout.studies.faithfulness.questions import Question
from heldout.studies.faithfulness.writing import Work, Writer

PROMPTS = ("<bos> plus 0 1 1 red - :", "<bos> plus 1 1 1 red - :", "<bos> plus 1 0 0 blue - :")
STEPS = (("1", "2"), ("2", "3"), ("1", "1"))


@pytest.fixture(params=["trained", "untrained"])
def writer(request: pytest.FixtureRequest, planted: dict[str, Model], writing: Callable[[Model], Any]) -> Writer:
    model = planted["used"]
    return writing(model if request.param == "trained" else model.randomly_initialised(3))


@pytest.fixture
def works(writer: Writer) -> list[Work]:
    found: list[Work] = []
    for number, (prompt, words) in enumerate(zip(PROMPTS, STEPS, strict=True)):
        ids = writer.prompt_ids(prompt)
        steps = tuple(tuple(writer.model.tokenizer.encode(word, add_special_tokens=False)) for word in words)
        (answer,) = writer.answers([prefix_of(writer, ids, steps)], answering=True)
        question = Question(str(number), prompt, ("mon",), "plus", "plus")
        found.append(Work(question, ids, steps, str(answer), right=True))
    return found


def run(writer: Writer) -> ExchangeRun:
    return ExchangeRun(writer, tuple(writer.model.sites("resid_pre")))


def test_one_s_own_activations_change_nothing(writer: Writer, works: list[Work]) -> None:
    same = [Exchange(work, prefix_of(writer, work.prompt, work.steps), "x") for work in works]
    trials = run(writer).trials("interchange", same, lambda work: reasoning_positions(writer, work))
    assert [trial.answer for trial in trials] == [work.answer for work in works]


def test_with_all_that_stands_before_the_mark_the_donor_answers(writer: Writer, works: list[Work]) -> None:
    turned = [*works[1:], works[0]]
    exchanges = [
        Exchange(work, prefix_of(writer, donor.prompt, donor.steps), donor.answer)
        for work, donor in zip(works, turned, strict=True)
    ]
    trials = run(writer).trials(
        "interchange", exchanges, lambda work: (*prompt_positions(writer, work), *reasoning_positions(writer, work))
    )
    assert [trial.answer for trial in trials] == [donor.answer for donor in turned]


def test_steps_divide_the_reasoning(writer: Writer, works: list[Work]) -> None:
    work = works[0]
    assert reasoning_positions(writer, work) == (-4, -3, -2)
    assert step_positions(writer, 0, work) == (-4, -3)
    assert step_positions(writer, 1, work) == (-2,)
    assert prompt_positions(writer, work) == tuple(range(-12, -4))
