"""A suite as a task: nothing is lost on the way, and its scorer grades as the suite does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from inspect_ai.log import EvalLog

from heldout.audits.answering import Answering
from heldout.data import Sample, Suite
from heldout.evals.inspect import suite_of, task_of
from heldout.models import Model

CHOICES = ("3", "5", "7")


def of_choices(suite: Suite, accepts: Callable[[int], str]) -> Suite:
    samples = tuple(
        replace(sample, target=accepts(i), accepts=(accepts(i),), choices=CHOICES)
        for i, sample in enumerate(suite.samples[:6])
    )
    return replace(suite, answer="choice", samples=samples)


def graded(log: EvalLog) -> dict[str, tuple[str, bool]]:
    return {str(each.id): (each.scores["accepts"].answer, each.scores["accepts"].value == "C") for each in log.samples}


def by_hand(model: Model, suite: Suite) -> dict[str, tuple[str, bool]]:
    """The answers and grades of an audit."""
    answers = Answering.of(suite, model, 1 << 28)(model, model.tokenize([sample.input for sample in suite.samples]))
    return {
        sample.id: (str(answer), str(answer) in sample.accepts)
        for sample, answer in zip(suite.samples, answers, strict=True)
    }


def test_a_suite_comes_back_as_it_was(suite: Suite) -> None:
    rich = replace(
        suite.samples[0], cue="c", latents={"sum": 3}, pair=suite.samples[1].id, template="t", other={"level": 2}
    )
    paired = replace(suite.samples[1], pair=rich.id)
    whole = replace(
        suite,
        samples=(rich, paired, *suite.samples[2:]),
        description="d",
        behaviour_descriptions={suite.behaviours[0]: "sums"},
    )
    assert suite_of(task_of(whole)) == whole
    assert suite_of(task_of(whole)).digest == whole.digest


@pytest.mark.parametrize("spelt", [lambda i: CHOICES[i % 3], lambda i: "ABC"[i % 3]], ids=["words", "letters"])
def test_a_suite_of_choices_comes_back_as_it_was(suite: Suite, spelt: Callable[[int], str]) -> None:
    choices = of_choices(suite, spelt)
    assert suite_of(task_of(choices)) == choices


def test_the_scorer_grades_as_an_audit_does(model: Model, suite: Suite, run: Callable[..., EvalLog]) -> None:
    expected = by_hand(model, suite)
    assert graded(run(suite)) == expected
    assert {passed for _, passed in expected.values()} == {True}


def test_the_scorer_rejects_what_is_not_accepted(model: Model, suite: Suite, run: Callable[..., EvalLog]) -> None:
    half: tuple[Sample, ...] = tuple(
        replace(sample, target=None, role="unverified", accepts=("=",)) if i % 2 else sample
        for i, sample in enumerate(suite.samples)
    )
    other = replace(suite, samples=half)
    expected = by_hand(model, other)
    assert graded(run(other)) == expected
    assert sum(passed for _, passed in expected.values()) == len(half) / 2


def test_a_choice_is_answered_with_an_option(model: Model, suite: Suite, run: Callable[..., EvalLog]) -> None:
    choices = of_choices(suite, lambda i: CHOICES[i % 3])
    found = graded(run(choices))
    assert found == by_hand(model, choices)
    assert {answer for answer, _ in found.values()} <= set(CHOICES)
