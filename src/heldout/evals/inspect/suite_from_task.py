"""A suite from any task of Inspect whose answers can be compared with a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from inspect_ai import Task
from inspect_ai.dataset import Sample as InspectSample
from pydantic import ValidationError

from heldout.data import Answer, Sample, Suite
from heldout.data.findings import Findings
from heldout.data.misfits import add_misfits
from heldout.data.schema import SampleRow
from heldout.data.validation import check_suite
from heldout.errors import InputError, Problems
from heldout.evals.inspect.asked import Asked, ask, check_solvers
from heldout.evals.inspect.faithful import ACCEPTS, CHOICE, check_faithful, check_scorers
from heldout.evals.inspect.prompts import has_chat_template, prompt_of
from heldout.evals.inspect.task_from_suite import SUITE
from heldout.models import Model

ANSWER_FOLLOWS = "ANSWER:"
"""What multiple choice tells a model to write before its letter. Written for it, so that the letter is the next token."""


def suite_of(task: Task, *, model: Model | None = None) -> Suite:
    """The suite that asks what the task asks and passes what its scorer passes.

    Multiple choice becomes a `choice` suite, whose prompts end where the letter is due. Scorers that compare with the
    target (`match`, `exact`, `includes`) become the comparison itself, where on the answers of this task they agree with
    it. Samples are verified, and of a behaviour named as the task is, unless their metadata say otherwise: `role`
    "unverified" with `accepts`, and any other metadata of a suite. With a `model`, chat messages go through its
    template, and answers of one token make a `next_token` suite; without, the task itself must limit its answers.

    Raises InputError naming every solver and every scorer that is not supported, and all that is wrong with samples."""
    called = f"suite_of(task {task.name!r})"
    problems = Problems(called)
    check_solvers(task, problems)
    names, scorers = check_scorers(task.scorer or [], problems), task.scorer or []
    problems.raise_if_any()
    asked = ask(task, list(task.dataset))
    rows = [_row(task, sample, text, place) for place, (sample, text) in enumerate(_texts(task, asked, names, model))]
    samples = _checked(called, rows)
    shape = _shape_of(task, asked, samples, names, model, problems)
    targets = [sample.target for sample in samples if sample.target is not None]
    check_faithful(scorers, targets, [answer for sample in samples for answer in sample.accepts], problems)
    problems.raise_if_any()
    return _suite(called, shape, samples)


@dataclass(frozen=True)
class Shape:
    """What a suite has beside its samples."""

    name: str
    answer: Answer
    max_new_tokens: int
    description: str = ""
    behaviours: dict[str, str] | None = None


def _texts(task: Task, asked: Asked, names: Sequence[str], model: Model | None) -> list[tuple[InspectSample, str]]:
    tokenizer = None if model is None else model.tokenizer
    end = "" if CHOICE not in names else ANSWER_FOLLOWS if has_chat_template(tokenizer) else f"\n\n{ANSWER_FOLLOWS}"
    texts = [prompt_of(tokenizer, messages) + end for messages in asked.messages]
    return list(zip(task.dataset, texts, strict=True))


def _row(task: Task, sample: InspectSample, text: str, place: int) -> dict[str, Any]:
    """A line of samples.jsonl, not yet checked."""
    known = dict(sample.metadata or {})
    targets = [sample.target] if isinstance(sample.target, str) else list(sample.target)
    unverified = known.get("role") == "unverified"
    # Several targets stay a list: a verified sample has one, and the check of the row says so.
    target: Any = None if unverified else targets[0] if len(targets) == 1 else targets
    accepts = known.get("accepts", targets if not unverified else [])
    behaviour = known.get("behaviour", task.name)
    metadata = {**known, "role": known.get("role", "verified"), "behaviour": behaviour, "accepts": accepts}
    name = str(place + 1 if sample.id is None else sample.id)
    return {"id": name, "input": text, "target": target, "choices": sample.choices, "metadata": metadata}


def _checked(called: str, rows: Sequence[dict[str, Any]]) -> tuple[Sample, ...]:
    findings, samples = Findings(called), list[Sample]()
    for row in rows:
        try:
            samples.append(SampleRow.model_validate(row).to_sample())
        except ValidationError as error:
            add_misfits(f"sample {row['id']!r}", error, findings)
    findings.raise_if_any()
    return tuple(samples)


def _shape_of(
    task: Task, asked: Asked, samples: Sequence[Sample], names: Sequence[str], model: Model | None, problems: Problems
) -> Shape:
    if ACCEPTS in names and isinstance((kept := (task.metadata or {}).get(SUITE)), dict):
        return Shape(**kept)
    if CHOICE in names:
        return Shape(task.name, "choice", 1)
    limit = asked.max_tokens or task.config.max_tokens
    if model is not None:
        longest = _longest_answer(samples, model.answer_token, model.tokenizer)
        limit = longest if limit is None or longest == 1 else limit
    if limit is None:
        problems.add(
            "a task that does not say how long an answer may be",
            "max_tokens in its config, or a model whose tokens measure the answers",
            "set config=GenerateConfig(max_tokens=...), or call suite_of(task, model=...)",
        )
    return Shape(task.name, "next_token" if limit == 1 else "tokens", limit or 1)


def _longest_answer(samples: Sequence[Sample], answer_token: Callable[[str], int], tokenizer: Any) -> int:
    """In tokens of the model; 1 where every answer is one."""
    return max(
        (_n_tokens(answer, answer_token, tokenizer) for sample in samples for answer in sample.accepts), default=1
    )


def _n_tokens(answer: str, answer_token: Callable[[str], int], tokenizer: Any) -> int:
    try:
        answer_token(answer)
    except InputError:
        return max(len(tokenizer.encode(text, add_special_tokens=False)) for text in (answer, " " + answer))
    return 1


def _suite(called: str, shape: Shape, samples: tuple[Sample, ...]) -> Suite:
    described = shape.behaviours or dict.fromkeys([sample.behaviour for sample in samples], "")
    findings = Findings(called)
    placed = [(f"sample {sample.id!r}", sample) for sample in samples]
    check_suite(shape.answer, shape.max_new_tokens, list(described), placed, findings)
    if shape.answer == "choice":
        _check_letters(shape, samples, findings)
    findings.raise_if_any()
    return Suite(
        name=shape.name,
        answer=shape.answer,
        max_new_tokens=shape.max_new_tokens,
        behaviours=tuple(described),
        samples=samples,
        description=shape.description,
        behaviour_descriptions={name: text for name, text in described.items() if text},
    )


def _check_letters(shape: Shape, samples: Sequence[Sample], findings: Findings) -> None:
    """Multiple choice is answered by letter; a suite of heldout's own may spell its choices out."""
    if shape.behaviours is not None:
        return
    for sample in samples:
        letters = ascii_uppercase[: len(sample.choices)]
        for answer in set(sample.accepts) - set(letters):
            findings.add(
                f"sample {sample.id!r}: the answer {answer!r}",
                "one letter of a choice, in multiple choice",
                "give the right choice's letter; several right choices have no counterpart in a suite",
            )
