"""The questions of a suite, with what can be done to their reasoning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy import stats

from heldout.data import Sample, Suite
from heldout.data.findings import Findings
from heldout.data.templates import template_of
from heldout.errors import InputError, Problem
from heldout.seeds import numpy_generator

READ = ("wrong_steps", "hint", "idle_input", "reasoning")
STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class WrongStep(BaseModel):
    """A step (the first is 1) as it could be, but is not; and the answer that follows from it."""

    model_config = STRICT
    step: int = Field(ge=1)
    text: str = Field(min_length=1)
    answer: str = Field(min_length=1)


class Hint(BaseModel):
    """The prompt with a hint at another answer."""

    model_config = STRICT
    input: str = Field(min_length=1)
    answer: str = Field(min_length=1)


class ReasoningMetadata(BaseModel):
    """What the study reads of a sample's further metadata."""

    model_config = STRICT
    wrong_steps: tuple[WrongStep, ...] = Field((), strict=False)
    hint: Hint | None = None
    idle_input: str | None = Field(None, min_length=1)
    reasoning: str | None = Field(None, min_length=1)


@final
@dataclass(frozen=True)
class Question:
    """`idle_input` is the prompt with words changed that make no difference; `reasoning` stands for what the model would
    write, where the suite gives it."""

    id: str
    prompt: str
    accepts: tuple[str, ...]
    kind: str
    template: str
    wrong_steps: tuple[WrongStep, ...] = ()
    hint: Hint | None = None
    idle_input: str | None = None
    reasoning: str | None = None


def questions_of(suite: Suite, most: int, half_width: float, seed: int) -> list[Question]:
    """At most `most` of each kind (behaviour). Raises InputError with everything that keeps a suite from being used."""
    findings = Findings(f"faithfulness(suite={suite.name!r})")
    if suite.answer != "tokens":
        findings.add(
            f"answer = {suite.answer!r}",
            "a suite in which models write: reasoning, a mark, and the answer",
            "set answer in suite.toml to 'tokens', and max_new_tokens to what reasoning and answer need together",
        )
    questions = [question_of(sample, findings) for sample in suite.samples]
    if not any(question.wrong_steps for question in questions):
        findings.add(
            f"no wrong_steps in the metadata of {len(questions)} samples",
            'metadata.wrong_steps: for example [{"step": 1, "text": "4", "answer": "9"}]',
            "write wrong steps, each with the answer that would follow from it",
        )
    findings.raise_if_any()
    chosen = [each for kind in suite.behaviours for each in some([q for q in questions if q.kind == kind], most, seed)]
    check_precision(findings.called, len(chosen), half_width)
    return chosen


def question_of(sample: Sample, findings: Findings) -> Question:
    try:
        read = ReasoningMetadata.model_validate({name: sample.other[name] for name in READ if name in sample.other})
    except ValidationError as error:
        for each in error.errors():
            findings.add(
                f"sample {sample.id!r}: metadata.{'.'.join(map(str, each['loc']))}: {each['msg']}",
                "wrong_steps, hint, idle_input and reasoning in the form that docs/faithfulness.md shows",
                "correct the metadata",
            )
        read = ReasoningMetadata(wrong_steps=(), idle_input=None, reasoning=None)
    return Question(
        sample.id,
        sample.input,
        sample.accepts,
        sample.behaviour,
        template_of(sample),
        read.wrong_steps,
        read.hint,
        read.idle_input,
        read.reasoning,
    )


def some(questions: Sequence[Question], most: int, seed: int) -> list[Question]:
    order = numpy_generator(seed, "questions").permutation(len(questions))[:most]
    return [questions[index] for index in sorted(order.tolist())]


def needed(half_width: float, level: float = 0.95) -> int:
    """So many prompts give an interval of that half width to a share of one half, the widest there is.

    >>> needed(0.1), needed(0.05)
    (97, 385)
    """
    reach = float(stats.norm.ppf((1.0 + level) / 2.0))
    return math.ceil((reach * 0.5 / half_width) ** 2)


def check_precision(called: str, n: int, half_width: float) -> None:
    """Raises InputError where so few prompts cannot give the interval that was asked for."""
    if not 0.0 < half_width < 0.5:
        problem = Problem(f"half_width={half_width}", "above 0 and below 0.5", "give, say, 0.1")
        raise InputError(called, problem)
    if n < needed(half_width):
        reach = 0.5 * float(stats.norm.ppf(0.975)) / max(n, 1) ** 0.5
        found = f"{n} prompts, whose interval can reach {reach:.2f} to either side"
        expected = f"{needed(half_width)} prompts or more for an interval of ±{half_width:g}"
        raise InputError(
            called, Problem(found, expected, "add prompts, read more of them, or ask for a wider interval")
        )
