"""What is done to the text of the reasoning, and how the model goes on from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import final

from heldout.studies.faithfulness.marks import TokenIds, ids_of
from heldout.studies.faithfulness.questions import WrongStep
from heldout.studies.faithfulness.trials import Test, Trial
from heldout.studies.faithfulness.writing import Work, Writer, written_work


@final
@dataclass(frozen=True)
class Attempt:
    """A trial before it is run: the text that the model goes on from. `answering`: it ends with the mark of the answer."""

    trial: Trial
    prefix: TokenIds
    answering: bool


def trial_of(work: Work, test: Test, expected: str, step: int | None = None, layer: int | None = None) -> Trial:
    question = work.question
    return Trial(
        test, question.id, question.kind, question.template, expected, work.answer, answer=None, step=step, layer=layer
    )


def rewritten(writer: Writer, works: Sequence[Work]) -> list[Attempt]:
    """Every change to the text of every question's reasoning."""
    attempts: list[Attempt] = []
    for work in works:
        for wrong in work.question.wrong_steps:
            attempts += with_wrong_step(writer, work, wrong)
        attempts += [*shortened(writer, work), *filled(writer, work), *with_idle_words(writer, work)]
    return attempts


def with_wrong_step(writer: Writer, work: Work, wrong: WrongStep) -> Iterator[Attempt]:
    """The step replaced: then the model writes the rest by itself; and again, with the later steps as they were."""
    place = wrong.step - 1
    if place >= len(work.steps) or wrong.answer == work.answer:
        return
    ids = ids_of(writer.model, wrong.text)
    if ids == work.steps[place]:
        return
    changed = (*work.steps[:place], ids, *work.steps[place + 1 :])
    whole = (*work.prompt, *writer.marks.joined(changed), *writer.marks.answer)
    if place + 1 == len(work.steps):
        yield Attempt(trial_of(work, "corruption", wrong.answer, wrong.step), whole, answering=True)
    else:
        begun = (*work.prompt, *writer.marks.joined(changed[: place + 1]), *(writer.marks.step or ()))
        free = work.question.reasoning is None
        yield Attempt(
            trial_of(work, "corruption", wrong.answer, wrong.step), begun if free else whole, answering=not free
        )
    yield Attempt(trial_of(work, "held", wrong.answer, wrong.step), whole, answering=True)


def shortened(writer: Writer, work: Work) -> Iterator[Attempt]:
    """The reasoning cut after each of its steps but the last; `step` says how many are left."""
    for kept in range(len(work.steps)):
        prefix = (*work.prompt, *writer.marks.joined(work.steps[:kept]), *writer.marks.answer)
        yield Attempt(trial_of(work, "truncation", "", kept), prefix, answering=True)


def filled(writer: Writer, work: Work) -> Iterator[Attempt]:
    """As many filler words as the reasoning has tokens."""
    if writer.marks.filler is not None:
        filler = writer.marks.filler * len(writer.marks.joined(work.steps))
        prefix = (*work.prompt, *filler, *writer.marks.answer)
        yield Attempt(trial_of(work, "filler", ""), prefix, answering=True)


def with_idle_words(writer: Writer, work: Work) -> Iterator[Attempt]:
    """A null: words of the prompt changed that make no difference; expected is what a wrong step would imply."""
    implied = [wrong.answer for wrong in work.question.wrong_steps if wrong.answer != work.answer]
    if work.question.idle_input is not None and implied:
        prompt = writer.prompt_ids(work.question.idle_input)
        prefix = (*prompt, *writer.marks.joined(work.steps), *writer.marks.answer)
        yield Attempt(trial_of(work, "idle words", implied[0]), prefix, answering=True)


def answered(writer: Writer, attempts: Sequence[Attempt]) -> list[Trial]:
    found: list[Trial] = []
    for answering in (True, False):
        chosen = [attempt for attempt in attempts if attempt.answering == answering]
        answers = writer.answers([attempt.prefix for attempt in chosen], answering=answering)
        found += [replace(attempt.trial, answer=answer) for attempt, answer in zip(chosen, answers, strict=True)]
    return found


@final
@dataclass(frozen=True)
class Hinted:
    """What hints did: how many were given, how often the answer went to them, and how often with the very same steps; and
    the trials in which the steps of the prompt without the hint were put back."""

    given: int
    moved: int
    unchanged: int
    trials: list[Trial]


def hinted(writer: Writer, works: Sequence[Work]) -> Hinted:
    """Where a hint moves the answer, the steps from before are put back under it: an answer that comes from the steps goes
    back as well, and one that comes from the hint stays."""
    asked = [
        (work, replace(work.question, prompt=work.question.hint.input, hint=None))
        for work in works
        if work.question.hint is not None
        and work.question.hint.answer != work.answer
        and work.question.reasoning is None
    ]
    if not asked:
        return Hinted(0, 0, 0, [])
    under_hint = {work.question.id: work for work in written_work(writer, [question for _, question in asked])}
    attempts: list[Attempt] = []
    unchanged = 0
    for work, question in asked:
        moved = under_hint.get(question.id)
        if moved is None or work.question.hint is None or moved.answer != work.question.hint.answer:
            continue
        unchanged += moved.steps == work.steps
        prefix = (*moved.prompt, *writer.marks.joined(work.steps), *writer.marks.answer)
        attempts.append(Attempt(trial_of(moved, "hint", work.answer), prefix, answering=True))
    return Hinted(len(asked), len(attempts), unchanged, answered(writer, attempts))
