"""Activation interchange: the stream at the reasoning of one prompt is replaced by that of another prompt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import final

from heldout.models import Set, Site, batch_size
from heldout.models.sites import evenly
from heldout.seeds import numpy_generator
from heldout.studies.faithfulness.marks import TokenIds, ids_of
from heldout.studies.faithfulness.rewriting import trial_of
from heldout.studies.faithfulness.trials import Test, Trial
from heldout.studies.faithfulness.writing import Work, Writer

MAPPED = 64
"""About so many questions, evenly over all, are exchanged at each step and layer by itself."""
MOST_LAYERS = 12


@final
@dataclass(frozen=True)
class Exchange:
    """A question, and the prefix whose activations it is given. Both are as long behind the prompt. `expected` is the
    answer that the donor's reasoning leads to."""

    work: Work
    donor: TokenIds
    expected: str


Positions = Callable[[Work], tuple[int, ...]]
"""Of a question, counted from the end of its prefix."""


@final
@dataclass(frozen=True)
class Donors:
    """For each question another one of the same kind and shape: one whose last step is a wrong one of this question, with
    the answer that follows from it, or else one with another answer, with that; and one with the same answer."""

    other: dict[str, tuple[Work, str]]
    same: dict[str, Work]


def shape_of(writer: Writer, work: Work) -> tuple[object, ...]:
    """Questions can be exchanged where these agree."""
    return (work.question.kind, len(work.prompt), tuple(map(len, work.steps)), idle_positions(writer, work))


def donors_of(writer: Writer, works: Sequence[Work], seed: int) -> Donors:
    alike: dict[tuple[object, ...], list[Work]] = defaultdict(list)
    for work in works:
        alike[shape_of(writer, work)].append(work)
    generator = numpy_generator(seed, "donors")
    found = Donors({}, {})
    for work in works:
        group = alike[shape_of(writer, work)]
        others = others_of(writer, work, group)
        same = [each for each in group if each.answer == work.answer and each.prompt != work.prompt]
        if others:
            found.other[work.question.id] = others[int(generator.integers(len(others)))]
        if same:
            found.same[work.question.id] = same[int(generator.integers(len(same)))]
    return found


def others_of(writer: Writer, work: Work, group: Sequence[Work]) -> list[tuple[Work, str]]:
    """Where the answer needs the prompt beside the steps, only the suite knows what follows from another one's last step."""
    implied = {
        ids_of(writer.model, wrong.text): wrong.answer
        for wrong in work.question.wrong_steps
        if wrong.step == len(work.steps) and wrong.answer != work.answer
    }
    known = [(each, implied[each.steps[-1]]) for each in group if each.steps[-1] in implied]
    return known or [(each, each.answer) for each in group if each.answer != work.answer]


def prefix_of(writer: Writer, prompt: TokenIds, steps: Sequence[TokenIds]) -> TokenIds:
    return (*prompt, *writer.marks.joined(steps), *writer.marks.answer)


def reasoning_positions(writer: Writer, work: Work) -> tuple[int, ...]:
    end = len(writer.marks.answer)
    return tuple(range(-len(writer.marks.joined(work.steps)) - end, -end))


def prompt_positions(writer: Writer, work: Work) -> tuple[int, ...]:
    behind = len(prefix_of(writer, (), work.steps))
    return tuple(range(-behind - len(work.prompt), -behind))


def idle_positions(writer: Writer, work: Work) -> tuple[int, ...]:
    """Where the prompt and its version with other idle words differ; nowhere if these are of different lengths."""
    if work.question.idle_input is None:
        return ()
    idle = writer.prompt_ids(work.question.idle_input)
    places = prompt_positions(writer, work)
    if len(idle) != len(work.prompt):
        return ()
    return tuple(place for place, one, two in zip(places, work.prompt, idle, strict=True) if one != two)


def step_positions(writer: Writer, place: int, work: Work) -> tuple[int, ...]:
    """A step with the mark behind it, that of the answer excepted."""
    before = len(writer.marks.joined(work.steps[:place])) + (len(writer.marks.step or ()) if place else 0)
    until = before + len(work.steps[place])
    if place + 1 < len(work.steps):
        until += len(writer.marks.step or ())
    return reasoning_positions(writer, work)[before:until]


def interchanged(writer: Writer, works: Sequence[Work], seed: int) -> list[Trial]:
    """Every interchange: of the whole reasoning, of what its tokens hold beside their words, of the prompt, of idle
    positions, between questions of one answer; and step by step at each layer."""
    donors = donors_of(writer, works, seed)
    paired = [(work, *donors.other[work.question.id]) for work in works if work.question.id in donors.other]
    whole = [Exchange(work, prefix_of(writer, d.prompt, d.steps), expected) for work, d, expected in paired]
    past = [
        replace(each, expected=d.answer)
        for each, (work, d, _) in zip(whole, paired, strict=True)
        if d.answer != work.answer
    ]
    silent = [Exchange(work, prefix_of(writer, d.prompt, work.steps), expected) for work, d, expected in paired]
    same = [
        Exchange(work, prefix_of(writer, twin.prompt, twin.steps), expected)
        for work, _, expected in paired
        if (twin := donors.same.get(work.question.id)) is not None
    ]
    sites = writer.model.sites("resid_pre")
    run = ExchangeRun(writer, tuple(sites))
    reasoning, prompt, idle = (
        partial(positions, writer) for positions in (reasoning_positions, prompt_positions, idle_positions)
    )
    quiet = run.trials("silent", silent, reasoning)
    return [
        *by_words(run.trials("interchange", whole, reasoning), quiet),
        *quiet,
        *run.trials("bypass", past, prompt),
        *run.trials("idle positions", [each for each in whole if idle(each.work)], idle),
        *run.trials("same answer", same, reasoning),
        *mapped(writer, whole[:: max(1, len(whole) // MAPPED)]),
    ]


def by_words(whole: Sequence[Trial], quiet: Sequence[Trial]) -> list[Trial]:
    """Tells interchanges whose answer follows just as well without the words."""
    silent = {trial.question for trial in quiet if trial.outcome == "follows"}
    return [replace(trial, silent=trial.question in silent) for trial in whole]


def mapped(writer: Writer, exchanges: Sequence[Exchange]) -> Iterable[Trial]:
    """One step at one layer at a time."""
    sites = writer.model.sites("resid_pre")
    for layer in evenly(range(len(sites)), MOST_LAYERS):
        run = ExchangeRun(writer, (sites[layer],))
        for place in range(max((len(each.work.steps) for each in exchanges), default=0)):
            having = [each for each in exchanges if place < len(each.work.steps)]
            yield from run.trials("map", having, partial(step_positions, writer, place), place + 1, layer)


@final
@dataclass(frozen=True)
class ExchangeRun:
    """Interchanges at the same sites."""

    writer: Writer
    sites: tuple[Site, ...]

    def trials(
        self,
        test: Test,
        exchanges: Sequence[Exchange],
        positions: Positions,
        step: int | None = None,
        layer: int | None = None,
    ) -> list[Trial]:
        grouped: dict[tuple[tuple[int, ...], int], list[Exchange]] = defaultdict(list)
        for each in exchanges:
            grouped[positions(each.work), len(each.donor)].append(each)
        found: list[Trial] = []
        for (places, length), group in grouped.items():
            size = batch_size(self.writer.model, length, kept_per_token=len(self.sites) * self.writer.model.d_model)
            for start in range(0, len(group), size):
                rows = group[start : start + size]
                answers = self.answers(rows, places)
                found += [
                    replace(trial_of(each.work, test, each.expected, step, layer), answer=answer)
                    for each, answer in zip(rows, answers, strict=True)
                ]
        return found

    def answers(self, rows: Sequence[Exchange], positions: tuple[int, ...]) -> list[str]:
        writer, model = self.writer, self.writer.model
        trace = model.trace(writer.tokens([row.donor for row in rows]), self.sites, positions=positions, logits=False)
        edits = [Set(site, trace[site], positions) for site in self.sites]
        prefixes = writer.tokens([prefix_of(writer, row.work.prompt, row.work.steps) for row in rows])
        with model.intervene(*edits):
            new = model.generate_ids(prefixes, writer.length).tolist()
        return [writer.text(writer.marks.answer_in(writer.ended(ids))) for ids in new]
