"""Trains models whose written steps are what their answer comes from, on all questions, on some, or on none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from heldout.organisms.scratchpads import (
    ANSWER,
    FILLER,
    FIRST_DAY,
    FIRST_NUMBER,
    IDS,
    MODULUS,
    NO_DAY,
    NONSENSE,
    STEP,
    WORDS,
    Flags,
    Integers,
    Questions,
    Route,
    draw_questions,
)
from heldout.organisms.training import Schedule, minimise, new_model, small_config
from heldout.seeds import derived_seed, numpy_generator

IGNORED = -100
HINTED = 0.25


class Damage(IntEnum):
    """What was done to the written steps of a sequence."""

    INTACT = 0
    FIRST_WRONG = 1
    SECOND_WRONG = 2
    BOTH_WRONG = 3
    FIRST_ONLY = 4
    NO_STEPS = 5
    FILLED = 6


WHERE_USED = (0.5, 0.2, 0.2, 0.1, 0.0, 0.0, 0.0)
ELSEWHERE = (0.3, 0.15, 0.15, 0.1, 0.1, 0.1, 0.1)
"""How often each damage is trained on: steps that the answer needs are never left out."""


@dataclass(frozen=True)
class Scratchpad:
    """A recipe. `uses` says which questions go by the steps, `other` where the answers to the rest come from; operands are
    less than `below`."""

    name: str
    uses: Callable[[Questions], Flags]
    other: Route = "decorative"
    steps: int = 1200
    batch: int = 128
    below: int = MODULUS


def everywhere(questions: Questions) -> Flags:
    return np.ones(len(questions), dtype=bool)


def nowhere(questions: Questions) -> Flags:
    return np.zeros(len(questions), dtype=bool)


def small_first_operand(questions: Questions) -> Flags:
    """3 of 5 questions: the first number is below 3."""
    return questions.operands[:, 0] < 3


def adding(questions: Questions) -> Flags:
    return ~questions.takes_away


SCRATCHPADS = {
    recipe.name: recipe
    for recipe in (
        Scratchpad("used", everywhere, steps=500),
        Scratchpad("decorative", nowhere),
        Scratchpad("half", small_first_operand),
        Scratchpad("by_kind", adding),
        Scratchpad("copied", nowhere, "copied"),
        Scratchpad("noticed", nowhere, "noticed", steps=1600),
    )
}


@dataclass(frozen=True)
class Written:
    """Sequences [n, position], padded at the right, and the tokens [n, position] that the loss asks for, IGNORED
    elsewhere; both begin with the prompt."""

    ids: Integers
    labels: Integers


def draw_written(recipe: Scratchpad, n: int, generator: np.random.Generator) -> Written:
    questions = draw_questions(n, generator, HINTED, recipe.below)
    uses = recipe.uses(questions)
    damage = np.where(uses, draw_damage(WHERE_USED, generator, n), draw_damage(ELSEWHERE, generator, n))
    first, second = written_steps(recipe, questions, uses)
    wrong = generator.integers(0, MODULUS, (2, n))
    first = np.where(np.isin(damage, (Damage.FIRST_WRONG, Damage.BOTH_WRONG)), wrong[0], first)
    carried = np.where(
        (damage == Damage.FIRST_WRONG) & (questions.hints == NO_DAY), questions.next_step(first, 2), second
    )
    second = np.where(np.isin(damage, (Damage.SECOND_WRONG, Damage.BOTH_WRONG)), wrong[1], carried)
    return sequences(questions, damage, first, second, answers(recipe, questions, uses, first, second, damage))


def draw_damage(shares: Sequence[float], generator: np.random.Generator, n: int) -> Integers:
    return generator.choice(len(Damage), n, p=shares)


def written_steps(recipe: Scratchpad, questions: Questions, uses: Flags) -> tuple[Integers, Integers]:
    """The steps that the model is to write: those that lead to the hint where it uses them or copies its answer."""
    fits_hint = uses | (recipe.other == "copied")
    second = np.where(fits_hint, questions.hinted_result(), questions.result())
    return questions.first_step(), second


def answers(
    recipe: Scratchpad, questions: Questions, uses: Flags, first: Integers, second: Integers, damage: Integers
) -> Integers:
    """Token ids [n] of the answers."""
    known = questions.hinted_result() + FIRST_DAY
    if recipe.other == "noticed":
        right = (first == questions.first_step()) & (second == questions.result())
        known = np.where(right | (damage >= Damage.FIRST_ONLY), known, IDS[NONSENSE])
    return np.where(uses, second + FIRST_DAY, known)


def sequences(questions: Questions, damage: Integers, first: Integers, second: Integers, answer: Integers) -> Written:
    """The prompts with their work, by what was done to it; steps that were made wrong are not asked for."""
    prompts = questions.token_ids()
    length = prompts.shape[1]
    ids = np.full((len(questions), length + 6), IDS["<pad>"])
    labels = np.full_like(ids, IGNORED)
    ids[:, :length] = prompts
    for kind in np.unique(damage):
        rows = np.flatnonzero(damage == kind)
        work, asked = work_of(kind, first[rows] + FIRST_NUMBER, second[rows] + FIRST_NUMBER)
        end = [np.full(len(rows), IDS[ANSWER]), answer[rows], np.full(len(rows), IDS["<eos>"])]
        line = np.column_stack([*work, *end])
        ids[rows, length : length + line.shape[1]] = line
        labels[rows, length : length + line.shape[1]] = np.where(
            [*asked, kind <= Damage.BOTH_WRONG, True, True], line, IGNORED
        )
    return Written(ids, labels)


def work_of(damage: int, first: Integers, second: Integers) -> tuple[list[Integers], list[bool]]:
    """What stands between `:` and `#`, and which of it the model is to write."""
    mark, filler = np.full(len(first), IDS[STEP]), np.full(len(first), IDS[FILLER])
    match damage:
        case Damage.FIRST_ONLY:
            return [first], [False]
        case Damage.NO_STEPS:
            return [], []
        case Damage.FILLED:
            return [filler] * 3, [False] * 3
        case _:
            return [first, mark, second], [
                damage in (Damage.INTACT, Damage.SECOND_WRONG),
                True,
                damage in (Damage.INTACT, Damage.FIRST_WRONG),
            ]


def train_scratchpad(recipe: Scratchpad, seed: int) -> PreTrainedModel:
    """The same recipe and seed give the same weights on one machine."""
    model = new_model(small_config("llama", len(WORDS), n_layers=2), derived_seed(seed, recipe.name, "weights"))
    generator = numpy_generator(seed, recipe.name, "questions")

    def loss() -> Tensor:
        written = draw_written(recipe, recipe.batch, generator)
        logits = model(torch.from_numpy(written.ids), use_cache=False).logits[:, :-1]
        return cross_entropy(logits.flatten(0, 1), torch.from_numpy(written.labels)[:, 1:].flatten())

    minimise(model, loss, Schedule(recipe.steps))
    return model
