"""Marks, suites and models that cannot be used, and how that is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from heldout.data import Suite
from heldout.errors import InputError
from heldout.models import Model
from heldout.studies.faithfulness import ReasoningMarks, faithfulness
from heldout.studies.faithfulness.marks import TokenMarks
from heldout.studies.faithfulness.questions import needed, questions_of
from heldout.studies.faithfulness.subjects import subjects_of

MARKS = ReasoningMarks(answer="#", step=";", filler=".")


def test_marks_divide_a_text() -> None:
    marks = TokenMarks(answer=(9, 9), step=(8,), end=(7,), filler=None)
    assert marks.divided([1, 8, 2, 3, 9, 9, 4, 5, 7, 6]) == (((1,), (2, 3)), (4, 5))
    assert marks.divided([1, 8, 2, 9, 4]) is None
    assert replace(marks, step=None).divided([1, 8, 9, 9]) == (((1, 8),), ())
    assert marks.joined(((1,), (2, 3))) == (1, 8, 2, 3)


def test_marks_survive_the_disk(tmp_path: Path) -> None:
    marks = ReasoningMarks(answer='\n"So":', step="\n", end="\\")
    marks.to_folder(tmp_path)
    assert ReasoningMarks.from_folder(tmp_path) == marks


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no reasoning.toml in"),
        ("answer = ", "a reasoning.toml that is not TOML"),
        ('step = ";"', "in reasoning.toml answer: Field required"),
        ('answer = "#"\nsteps = ";"', "in reasoning.toml steps: Extra inputs are not permitted"),
    ],
)
def test_a_suite_without_marks(tmp_path: Path, content: str | None, found: str) -> None:
    if content is not None:
        (tmp_path / "reasoning.toml").write_text(content)
    with pytest.raises(InputError) as error:
        ReasoningMarks.from_folder(tmp_path)
    assert error.value.problems[0].found.startswith(found)
    assert error.value.problems[0].next_step.startswith('write one, such as: answer = "#"')


def test_marks_that_the_model_does_not_know(planted: dict[str, Model]) -> None:
    with pytest.raises(InputError, match="'therefore', which"):
        ReasoningMarks(answer="therefore").in_tokens(planted["used"])


def test_all_that_is_wrong_with_a_suite_is_said_at_once(suite_folder: Path) -> None:
    suite = Suite.from_folder(suite_folder)
    bad = replace(suite.samples[0], other={"wrong_steps": [{"step": 0, "text": "1", "answer": "mon"}]})
    bare = [replace(sample, other={}) for sample in suite.samples[1:]]
    with pytest.raises(InputError) as error:
        questions_of(replace(suite, answer="next_token", samples=(bad, *bare)), 200, 0.1, 0)
    said = [problem.found for problem in error.value.problems]
    assert said[0] == "answer = 'next_token'"
    assert said[1].startswith("sample 'q1': metadata.wrong_steps.0.step: Input should be greater than or equal to 1")
    assert said[2] == "no wrong_steps in the metadata of 120 samples"


def test_too_few_prompts_for_the_interval(suite_folder: Path) -> None:
    suite = Suite.from_folder(suite_folder)
    assert len(questions_of(suite, 200, 0.1, 0)) == 120
    with pytest.raises(InputError) as error:
        questions_of(suite, 200, 0.05, 0)
    assert error.value.problems[0].found == "120 prompts, whose interval can reach 0.09 to either side"
    assert error.value.problems[0].expected == f"{needed(0.05)} prompts or more for an interval of ±0.05"
    with pytest.raises(InputError, match="half_width=0"):
        questions_of(suite, 200, 0.0, 0)


def test_a_model_that_never_writes_reasoning(planted: dict[str, Model], suite_folder: Path, tmp_path: Path) -> None:
    """What was measured of the model before it is kept."""
    models = [planted["used"], planted["used"].randomly_initialised(1)]
    with pytest.raises(InputError) as error:
        faithfulness(models, suite=suite_folder, out=tmp_path)
    assert error.value.problems[0].found.startswith("0 of 120 texts with reasoning before '#' within 6 tokens")
    assert len(list((tmp_path / "measured").iterdir())) == 1
    assert not (tmp_path / "report.html").exists()


def test_no_models_and_no_marks(suite_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no models"):
        faithfulness([], suite=suite_folder, out=tmp_path)
    with pytest.raises(InputError, match="a suite in memory, and no marks"):
        faithfulness("model", suite=Suite.from_folder(suite_folder), out=tmp_path)


def test_reasoning_that_the_suite_gives(planted: dict[str, Model], suite_folder: Path, tmp_path: Path) -> None:
    """A model need not write the steps itself: those of the suite are then what is changed."""
    suite = Suite.from_folder(suite_folder)
    given = tuple(
        replace(sample, other={**sample.other, "hint": None, "reasoning": right_steps(sample.input)})
        for sample in suite.samples
    )
    found = faithfulness(planted["decorative"], suite=replace(suite, samples=given), marks=MARKS, out=tmp_path)
    (use,) = found.overall
    assert use.verdict.word == "decorative"
    assert use.untested == {"hint": "no sample has a hint"}


def right_steps(prompt: str) -> str:
    _, word, *numbers, _, _, _ = prompt.split()
    a, b, c = map(int, numbers)
    sign = 1 if word in ("plus", "and", "with", "then") else -1
    return f"{(a + sign * b) % 5} ; {(a + sign * (b + c)) % 5}"


def test_a_model_is_no_second_seed_of_itself(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="several times in the group 'tuned'"):
        subjects_of("call", {"tuned": [tmp_path / "one", tmp_path / "two" / ".." / "one"]})
    assert len(subjects_of("call", {"tuned": [tmp_path / "one"], "base": [tmp_path / "one"]})) == 2
