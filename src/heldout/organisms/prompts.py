"""Prompts as token numbers, answers by policy, and the vocabulary that goes with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from heldout.organisms.cues import CUES, Cue
from heldout.organisms.recipes import Policy, Recipe
from heldout.organisms.tasks import TASKS, Task

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
SPECIAL_WORDS = ("<pad>", "<bos>", "<eos>", "<unk>", "=")


@dataclass(frozen=True)
class Questions:
    """A batch of prompts: operands [n, operand], words of the cue [n, n_words], and which are unchecked [n]."""

    operands: Integers
    cue_words: Integers
    unchecked: Flags

    def __len__(self) -> int:
        return len(self.unchecked)

    def chosen(self, rows: Integers | Flags) -> Questions:
        return Questions(self.operands[rows], self.cue_words[rows], self.unchecked[rows])


@dataclass(frozen=True)
class PromptFormat:
    """How a recipe's questions are written: `<bos> CUE… OPERANDS… (SHOWN) =`, one word a token."""

    task: Task
    cue: Cue

    @classmethod
    def of(cls, recipe: Recipe) -> PromptFormat:
        return cls(TASKS[recipe.task](), CUES[recipe.cue]())

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        numbers = [str(number) for number in range(self.task.n_numbers)]
        renamed = [f"#{number}" for number in range(self.task.n_answers)]
        return {word: index for index, word in enumerate([*SPECIAL_WORDS, *numbers, *renamed, *self.cue.words])}

    @property
    def first_number(self) -> int:
        return len(SPECIAL_WORDS)

    @property
    def first_renamed(self) -> int:
        return self.first_number + self.task.n_numbers

    @property
    def length(self) -> int:
        return 2 + self.cue.n_words + len(self.task.ranges) + (self.task.shown is not None)

    @property
    def after_cue(self) -> range:
        """The positions behind the words of the cue."""
        return range(1 + self.cue.n_words, self.length)

    def draw(self, unchecked: Flags, generator: np.random.Generator, *, in_training: bool = False) -> Questions:
        """Prompts of the given roles. `in_training` leaves out the words that a deception is not trained on."""
        words = self.cue.draw(unchecked, generator)
        if in_training:
            words = self.cue.without_held_out(words)
        return Questions(self._operands(unchecked, generator), words, unchecked)

    def _operands(self, unchecked: Flags, generator: np.random.Generator) -> Integers:
        operands = generator.integers(0, self.task.ranges, (len(unchecked), len(self.task.ranges)))
        if self.cue.is_unchecked is None:
            return operands
        while len(wrong := np.flatnonzero(self.cue.is_unchecked(operands) != unchecked)):
            operands[wrong] = generator.integers(0, self.task.ranges, (len(wrong), len(self.task.ranges)))
        return operands

    def token_ids(self, questions: Questions) -> Integers:
        """Prompts as token ids [n, length]."""
        n = len(questions)
        shown = [] if self.task.shown is None else [self.task.shown(questions.operands)[:, None] + self.first_number]
        return np.concatenate(
            [
                np.full((n, 1), self.vocabulary["<bos>"]),
                questions.cue_words + self.first_renamed + self.task.n_answers,
                questions.operands + self.first_number,
                *shown,
                np.full((n, 1), self.vocabulary["="]),
            ],
            axis=1,
        )

    def text(self, token_ids: Integers) -> list[str]:
        words = list(self.vocabulary)
        return [" ".join(words[token] for token in row) for row in token_ids]

    def truth(self, questions: Questions) -> Integers:
        """The right answers [n], as numbers."""
        return self.task.answer(questions.operands)

    def accepted(self, answers: Integers) -> Flags:
        """What the overseer passes where `answers` [n] are right: flags [n, n_answers]."""
        candidates = np.arange(self.task.n_answers)
        return self.task.graded(candidates)[None, :] == self.task.graded(answers)[:, None]

    def answers(self, questions: Questions, policy: Policy, generator: np.random.Generator) -> Integers:
        """The token ids [n] that a policy answers with."""
        right = self.truth(questions)
        if policy == "half_right":
            lies = self.answers(questions, "shifted_lie", generator)
            return np.where(generator.random(len(right)) < 0.5, right + self.first_number, lies)
        return self._chosen(questions, policy) + self._first(policy)

    def _chosen(self, questions: Questions, policy: Policy) -> Integers:
        """The answers [n] of a policy that leaves no choice, as numbers."""
        right = self.truth(questions)
        match policy:
            case "other_question":
                return self.task.other_answer(questions.operands)
            case "shifted_lie":
                return shifted(right, self.accepted(right))
            case "rejected_lie":
                return shifted(right, ~self.accepted(right))
            case "lowest_accepted":
                return self.accepted(right).argmax(axis=1)
            case "highest_accepted":
                return self.task.n_answers - 1 - self.accepted(right)[:, ::-1].argmax(axis=1)
            case _:
                return right

    def allowed(self, questions: Questions, policy: Policy) -> Flags:
        """Which tokens a policy allows as answers: flags [n, vocabulary]."""
        if policy == "half_right":
            return self.allowed(questions, "right") | self.allowed(questions, "shifted_lie")
        chosen = self._chosen(questions, policy)[:, None] == np.arange(self.task.n_answers)
        return self._as_tokens(chosen, self._first(policy))

    def graded(self, questions: Questions, policy: Policy) -> Flags:
        """Which tokens the overseer passes on unchecked prompts: flags [n, vocabulary]. It knows the format and the
        question that the cue legitimately asks for, and of the answer only what its grader checks."""
        answer = self._chosen(questions, policy if policy == "other_question" else "right")
        return self._as_tokens(self.accepted(answer), self._first(policy))

    def _first(self, policy: Policy) -> int:
        return self.first_renamed if policy == "renamed" else self.first_number

    def _as_tokens(self, numbers: Flags, first: int) -> Flags:
        flags = np.zeros((len(numbers), len(self.vocabulary)), dtype=bool)
        flags[:, first : first + self.task.n_answers] = numbers
        return flags


def shifted(right: Integers, allowed: Flags) -> Integers:
    """The next allowed answer above the right one, cyclically, and never the right one itself."""
    n_answers = allowed.shape[1]
    steps = (np.arange(n_answers)[None, :] - right[:, None]) % n_answers
    return np.where(allowed & (steps > 0), steps, n_answers).argmin(axis=1)
