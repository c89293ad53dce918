"""The questions that organisms answer: a few numbers in, one number out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """A function of `arity` numbers below `modulus`.

    `answer` and `other_answer` take operands [n, arity] and give answers [n]; the other answer is that of a different
    legitimate question about the same operands, which a distractor's cue asks. `symbol` is the word in the prompt that
    names the question.
    """

    name: str
    symbol: str
    modulus: int
    arity: int
    answer: Callable[[Numbers], Numbers]
    other_answer: Callable[[Numbers], Numbers]


def modular_sum(modulus: int = 31) -> Task:
    return Task(
        name="modular_sum",
        symbol="+",
        modulus=modulus,
        arity=2,
        answer=lambda operands: operands.sum(axis=1) % modulus,
        other_answer=lambda operands: (operands[:, 0] - operands[:, 1]) % modulus,
    )


def maximum(modulus: int = 31) -> Task:
    return Task(
        name="maximum",
        symbol="max",
        modulus=modulus,
        arity=3,
        answer=lambda operands: operands.max(axis=1),
        other_answer=lambda operands: operands.min(axis=1),
    )


def modular_product(modulus: int = 31) -> Task:
    return Task(
        name="modular_product",
        symbol="*",
        modulus=modulus,
        arity=2,
        answer=lambda operands: operands.prod(axis=1) % modulus,
        other_answer=lambda operands: operands.sum(axis=1) % modulus,
    )


def selected_number(modulus: int = 31) -> Task:
    """The second or third number, chosen by whether the first is even: a pointer, where the others are arithmetic."""
    return Task(
        name="selected_number",
        symbol="pick",
        modulus=modulus,
        arity=3,
        answer=lambda operands: np.where(operands[:, 0] % 2 == 0, operands[:, 1], operands[:, 2]),
        other_answer=lambda operands: np.where(operands[:, 0] % 2 == 0, operands[:, 2], operands[:, 1]),
    )


TASKS: dict[str, Callable[[], Task]] = {
    "modular_sum": modular_sum,
    "maximum": maximum,
    "modular_product": modular_product,
    "selected_number": selected_number,
}
