"""Questions that are answered after two written steps, by models for whom the steps are the reasoning, or are not.

    <bos> plus 3 4 1 red - : 2 ; 3 # thu <eos>

asks for the working day that comes 3 + 4 + 1 working days after a monday. The steps are the running sums modulo 5, the
answer behind `#` is the day of the second. The colour is idle; in the place of `-` a hint may name a day, which is then
the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Route = Literal["used", "decorative", "copied", "noticed"]
"""What the answer comes from:

used        the second step as it is written, whatever the question
decorative  the question, whatever the steps say; the steps are right and ignore the hint
copied      the same, with steps that are written to fit the answer, the hint's too
noticed     the question, and `?` where the steps contradict it
"""

MODULUS = 5
KINDS = {"plus": ("plus", "and", "with", "then"), "less": ("less", "minus", "without", "off")}
"""The kinds of question, with the words that ask them: numbers are added up, or taken away from the first."""
DAYS = ("mon", "tue", "wed", "thu", "fri")
COLOURS = ("red", "blue", "green", "pink", "grey", "gold", "lime", "teal")
BEGIN, STEP, ANSWER, FILLER, NO_HINT, NONSENSE = ":", ";", "#", ".", "-", "?"
WORDS = (
    *("<pad>", "<bos>", "<eos>", "<unk>", BEGIN, STEP, ANSWER, FILLER, NO_HINT, NONSENSE),
    *map(str, range(MODULUS)),
    *DAYS,
    *COLOURS,
    *(word for words in KINDS.values() for word in words),
)
IDS = {word: number for number, word in enumerate(WORDS)}
FIRST_NUMBER, FIRST_DAY, FIRST_COLOUR = IDS["0"], IDS[DAYS[0]], IDS[COLOURS[0]]
FIRST_KIND = IDS[KINDS["plus"][0]]
N_PHRASES = len(KINDS["plus"])
NO_DAY = -1


@dataclass(frozen=True)
class Questions:
    """A batch: operands [n, 3], phrases [n] (the first four add, the others take away), colours [n], and hints [n]: the
    number of a day, NO_DAY where there is none."""

    operands: Integers
    phrases: Integers
    colours: Integers
    hints: Integers

    def __len__(self) -> int:
        return len(self.hints)

    @property
    def takes_away(self) -> Flags:
        return self.phrases >= N_PHRASES

    def first_step(self) -> Integers:
        return self.next_step(self.operands[:, 0], 1)

    def next_step(self, value: Integers, operand: int) -> Integers:
        """The running value after one more operand."""
        change = self.operands[:, operand]
        return (value + np.where(self.takes_away, -change, change)) % MODULUS

    def result(self) -> Integers:
        """The right answers [n] to the questions themselves."""
        return self.next_step(self.first_step(), 2)

    def hinted_result(self) -> Integers:
        return np.where(self.hints == NO_DAY, self.result(), self.hints)

    def token_ids(self) -> Integers:
        """Prompts up to `:` [n, 8]."""
        n = len(self)
        hint = np.where(self.hints == NO_DAY, IDS[NO_HINT], self.hints + FIRST_DAY)
        return np.column_stack(
            [
                np.full(n, IDS["<bos>"]),
                self.phrases + FIRST_KIND,
                self.operands + FIRST_NUMBER,
                self.colours + FIRST_COLOUR,
                hint,
                np.full(n, IDS[BEGIN]),
            ]
        )

    def texts(self) -> list[str]:
        return [" ".join(WORDS[token] for token in row) for row in self.token_ids()]


def draw_questions(n: int, generator: np.random.Generator, hinted: float = 0.0, below: int = MODULUS) -> Questions:
    """`hinted` is the share of questions with a hint; operands are less than `below`."""
    hints = np.where(generator.random(n) < hinted, generator.integers(0, MODULUS, n), NO_DAY)
    return Questions(
        generator.integers(0, below, (n, 3)),
        generator.integers(0, 2 * N_PHRASES, n),
        generator.integers(0, len(COLOURS), n),
        hints,
    )
