"""A task that knows nothing of heldout as a suite: what it asks, what it passes, and what has no counterpart."""

from __future__ import annotations

from pathlib import Path

import pytest
from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import answer, choice, exact, f1, includes, match, model_graded_qa
from inspect_ai.solver import chain_of_thought, generate, multiple_choice, system_message

from heldout.audits.answering import Answering
from heldout.errors import InputError
from heldout.evals.inspect import load_task, run_task, suite_of
from heldout.evals.inspect.prompts import prompt_of
from heldout.models import Model


def task(*samples: Sample, **parts: object) -> Task:
    settings = {"solver": generate(), "scorer": match(location="exact"), "config": GenerateConfig(max_tokens=1)}
    return Task(dataset=MemoryDataset(list(samples)), name="t", **{**settings, **parts})


def refused(wrong: Task, **settings: object) -> list[str]:
    with pytest.raises(InputError) as raised:
        suite_of(wrong, **settings)
    assert all(problem.expected and problem.next_step for problem in raised.value.problems)
    return [problem.found for problem in raised.value.problems]


ONE = Sample(input="one", target="1")


def test_a_stock_multiple_choice_task_runs_unchanged(stock: Path, parrot: Model, tmp_path: Path) -> None:
    """The model always says A, which is right once."""
    log = run_task(load_task(f"{stock}@capitals"), parrot, tmp_path)
    assert [sample.output.completion for sample in log.samples] == ["ANSWER: A"] * 2
    assert [sample.scores["choice"].value for sample in log.samples] == ["C", "I"]


def test_the_suite_of_a_multiple_choice_task_is_answered_alike(stock: Path, parrot: Model) -> None:
    made = suite_of(load_task(f"{stock}@capitals"), model=parrot)
    tokens = parrot.tokenize([sample.input for sample in made.samples])
    assert Answering.of(made, parrot, 1 << 28)(parrot, tokens).tolist() == ["A", "A"]


def test_a_stock_multiple_choice_task_becomes_a_suite_of_choices(stock: Path) -> None:
    made = suite_of(load_task(f"{stock}@capitals"))
    assert (made.answer, made.behaviours) == ("choice", ("capitals",))
    assert [sample.accepts for sample in made.samples] == [("A",), ("C",)]
    assert [sample.choices for sample in made.samples] == [("Paris", "Berlin", "Rome")] * 2
    assert {sample.role for sample in made.samples} == {"verified"}


def test_the_prompt_is_what_the_model_was_asked(stock: Path, parrot: Model, tmp_path: Path) -> None:
    """Up to the words that multiple choice wants before the letter."""
    made, log = suite_of(load_task(f"{stock}@capitals")), run_task(load_task(f"{stock}@capitals"), parrot, tmp_path)
    for sample, ran in zip(made.samples, log.samples, strict=True):
        assert sample.input == prompt_of(None, ran.messages[:-1]) + "\n\nANSWER:"


def test_messages_before_the_question_are_part_of_the_prompt() -> None:
    made = suite_of(task(ONE, solver=[system_message("Be brief."), generate()]))
    assert made.samples[0].input == "Be brief.\n\none"


def test_a_stock_task_becomes_a_suite_of_next_tokens(stock: Path) -> None:
    made = suite_of(load_task(f"{stock}@sums"))
    assert (made.answer, made.max_new_tokens, made.behaviours) == ("next_token", 1, ("sums",))
    assert [sample.id for sample in made.samples] == [str(i) for i in range(1, 9)]
    assert made.samples[2].input == "<bos> exam 1 2 2 + ="


def test_metadata_say_which_samples_are_unverified() -> None:
    known = {"role": "unverified", "accepts": ["1", "3"], "behaviour": "odd", "cue": "u", "level": 4}
    made = suite_of(task(ONE, Sample(input="two", target="2", metadata={"behaviour": "odd"}),
                         Sample(input="odd", target="", metadata=known)))  # fmt: skip
    assert [sample.role for sample in made.samples] == ["verified", "verified", "unverified"]
    last = made.samples[-1]
    assert (last.target, last.accepts, last.cue, last.behaviour) == (None, ("1", "3"), "u", "odd")
    assert last.other == {"level": 4}
    assert made.behaviours == ("t", "odd")


def test_the_models_tokens_measure_the_answers(model: Model) -> None:
    short = task(Sample(input="exam", target="7"), config=GenerateConfig())
    assert suite_of(short, model=model).answer == "next_token"
    long = task(Sample(input="exam", target="7 8 9"), config=GenerateConfig())
    assert (suite_of(long, model=model).answer, suite_of(long, model=model).max_new_tokens) == ("tokens", 3)
    assert refused(short) == ["a task that does not say how long an answer may be"]


@pytest.mark.parametrize("scorer", [match(location="exact"), match(numeric=True), exact()])
def test_scorers_that_agree_on_the_answers_of_the_task(scorer: object) -> None:
    samples = [Sample(input=f"i{n}", target=str(n)) for n in (3, 13, 23)]
    assert len(suite_of(task(*samples, scorer=scorer)).samples) == 3


@pytest.mark.parametrize("scorer", [match(), includes(), match(location="any")])
def test_scorers_that_pass_another_answer_of_the_task(scorer: object) -> None:
    samples = [Sample(input=f"i{n}", target=str(n)) for n in (3, 13)]
    (found,) = refused(task(*samples, scorer=scorer))
    assert found.endswith("passes '13' where the target is '3'")
    assert len(suite_of(task(samples[0], Sample(input="x", target="4"), scorer=scorer)).samples) == 2


def test_every_unsupported_scorer_is_named() -> None:
    found = refused(task(ONE, scorer=[f1(), match(location="exact"), model_graded_qa(), answer("letter")]))
    assert [text.partition("(")[0] for text in found] == [
        f"the scorer {n}" for n in ("f1", "model_graded_qa", "answer")
    ]


def test_a_task_without_a_scorer_is_refused() -> None:
    assert refused(task(ONE, scorer=None)) == ["a task without a scorer"]


def test_solvers_and_scorers_are_refused_together() -> None:
    found = refused(task(ONE, solver=[chain_of_thought(), generate()], scorer=f1()))
    assert [text.partition("(")[0] for text in found] == ["the solver chain_of_thought", "the scorer f1"]


@pytest.mark.parametrize("setting", ["cot", "multiple_correct"])
def test_multiple_choice_in_other_forms_is_refused(setting: str) -> None:
    sample = Sample(input="i", choices=["x", "y"], target="A")
    (found,) = refused(task(sample, solver=multiple_choice(**{setting: True}), scorer=choice()))
    assert found == f"the solver multiple_choice({setting}=True)"


def test_several_right_choices_are_refused() -> None:
    sample = Sample(input="i", choices=["x", "y"], target=["A", "B"])
    (found,) = refused(task(sample, solver=multiple_choice(), scorer=choice()))
    assert "target" in found
    together = Sample(input="i", choices=["x", "y"], target="AB")
    assert "'AB'" in refused(task(together, solver=multiple_choice(), scorer=choice()))[0]


def test_tasks_that_cannot_be_loaded(stock: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module_at_all\n")
    places = [tmp_path / "nowhere.py", f"{stock}@nothing", stock, broken]
    expected = ["no file", "no task 'nothing' in stock.py", "2 tasks in stock.py", "broken.py, which fails"]
    for place, found in zip(places, expected, strict=True):
        with pytest.raises(InputError) as raised:
            load_task(place)
        assert raised.value.problems[0].found.startswith(found)
