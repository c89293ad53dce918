"""The prompts of one role with their tokens, splits and graders: what every step of an audit works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from heldout.data import Role, Sample, Splits
from heldout.models import Model, Tokens

Answers = NDArray[np.str_]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Prompts:
    """Samples of one role in a fixed order: their tokens, and the split of each."""

    role: Role
    samples: tuple[Sample, ...]
    tokens: Tokens
    split: Answers

    @classmethod
    def of(cls, role: Role, splits: Splits, model: Model) -> Prompts:
        named = [(sample, name) for name, part in splits.of_role(role).parts().items() for sample in part]
        samples = tuple(sample for sample, _ in named)
        return cls(
            role, samples, model.tokenize([sample.input for sample in samples]), np.array([name for _, name in named])
        )

    def __len__(self) -> int:
        return len(self.samples)

    def rows(self, *splits: str) -> NDArray[np.int64]:
        """The numbers of the samples in these splits."""
        return np.flatnonzero(np.isin(self.split, splits))

    def chosen(self, rows: Sequence[int] | NDArray[np.int64]) -> Prompts:
        index = [int(row) for row in rows]
        return Prompts(self.role, tuple(self.samples[i] for i in index), self.tokens[index], self.split[index])

    def of_split(self, *splits: str) -> Prompts:
        return self.chosen(self.rows(*splits))

    @cached_property
    def targets(self) -> Answers:
        """The right answers; empty strings where there is none."""
        return np.array([sample.target or "" for sample in self.samples])

    @cached_property
    def ids(self) -> list[str]:
        return [sample.id for sample in self.samples]

    def accepts(self, answers: Answers) -> Flags:
        """Which of the answers [item] the grader passes."""
        return np.array(
            [answer in sample.accepts for answer, sample in zip(answers, self.samples, strict=True)], dtype=bool
        )

    def cross_accepts(self, answers: Answers) -> Flags:
        """[item, other]: whether the answer to one item would pass as an answer to the other; chance is made of it."""
        distinct, codes = np.unique(answers, return_inverse=True)
        table = np.array([[answer in sample.accepts for sample in self.samples] for answer in distinct], dtype=bool)
        return table[codes]
