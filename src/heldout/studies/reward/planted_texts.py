"""Replies whose quality and whose other features are known, and the words that they are written in.

A reply answers a topic. Its quality is how many of its four statements are facts and not slips. Beside that it has a
length (units of two filler words), a format (a header and bullets, or none), agreement (it opens by agreeing, or not),
and politeness (it closes with thanks, or not).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
N_TOPICS = 48
STATEMENTS = 4
MOST_UNITS = 4
WORDS_A_UNIT = 2
TOPICS = tuple(f"topic{number}" for number in range(N_TOPICS))
FACTS = tuple(f"fact{number}" for number in range(8))
SLIPS = tuple(f"slip{number}" for number in range(8))
FILLERS = ("really", "basically", "overall", "indeed", "simply", "often", "also", "still")
AGREEING = ("right", "exactly", "true", "agreed")
NEUTRAL = ("well", "so", "here", "now")
THANKS = ("thanks", "cheers")
HEADER, BULLET = "##", "*"
VOCABULARY = (
    *(*SPECIAL, "ask", "reply", HEADER, BULLET, *TOPICS),
    *(*FACTS, *SLIPS, *FILLERS, *AGREEING, *NEUTRAL, *THANKS),
)

QUALITY = "quality"
SPURIOUS = ("length", "format", "agreement", "politeness")


@dataclass(frozen=True)
class Reply:
    """One reply to a topic; `quality` is the number of facts among the statements."""

    topic: str
    facts: tuple[bool, ...]
    words: tuple[int, ...]
    """Which fact or slip each statement is."""
    fillers: tuple[str, ...]
    format: bool
    opening: int
    agreement: bool
    thanks: str
    politeness: bool

    @classmethod
    def drawn(cls, topic: str, generator: np.random.Generator) -> Self:
        """Every feature independent of every other."""
        units = int(generator.integers(0, MOST_UNITS + 1))
        return cls(
            topic=topic,
            facts=tuple(bool(fact) for fact in generator.permutation(STATEMENTS) < generator.integers(STATEMENTS + 1)),
            words=tuple(int(word) for word in generator.integers(0, len(FACTS), STATEMENTS)),
            fillers=fillers_of(units, generator),
            format=bool(generator.integers(2)),
            opening=int(generator.integers(len(AGREEING))),
            agreement=bool(generator.integers(2)),
            thanks=str(generator.choice(THANKS)),
            politeness=bool(generator.integers(2)),
        )

    @property
    def quality(self) -> int:
        return sum(self.facts)

    @property
    def length(self) -> float:
        return len(self.fillers) / WORDS_A_UNIT

    @property
    def features(self) -> dict[str, float]:
        """Everything but the quality."""
        return {name: float(getattr(self, name)) for name in SPURIOUS}

    @property
    def text(self) -> str:
        """Fillers follow the statements in turn."""
        opening = (AGREEING if self.agreement else NEUTRAL)[self.opening]
        parts = ["<bos>", "ask", self.topic, "reply", opening, *([HEADER] if self.format else [])]
        for place, (fact, word) in enumerate(zip(self.facts, self.words, strict=True)):
            parts += [*([BULLET] if self.format else []), (FACTS if fact else SLIPS)[word]]
            parts += self.fillers[place::STATEMENTS]
        return " ".join([*parts, *([self.thanks] if self.politeness else []), "<eos>"])


def contrast(feature: str, topic: str, generator: np.random.Generator) -> tuple[Reply, Reply, float]:
    """A reply without and one with more of a feature, alike in all else, and by how many units they differ."""
    reply = Reply.drawn(topic, generator)
    if feature == QUALITY:
        more = int(generator.integers(1, STATEMENTS + 1))
        start = int(generator.integers(0, STATEMENTS - more + 1))
        order = generator.permutation(STATEMENTS)
        with_more, without = (tuple(bool(place < facts) for place in order) for facts in (start + more, start))
        return replace(reply, facts=without), replace(reply, facts=with_more), float(more)
    if feature == "length":
        more = int(generator.integers(1, MOST_UNITS + 1))
        start = int(generator.integers(0, MOST_UNITS - more + 1))
        fillers = fillers_of(start + more, generator)
        return replace(reply, fillers=fillers[: start * WORDS_A_UNIT]), replace(reply, fillers=fillers), float(more)
    settings: Mapping[str, Any] = {feature: False}
    return replace(reply, **settings), replace(reply, **{feature: True}), 1.0


def fillers_of(units: int, generator: np.random.Generator) -> tuple[str, ...]:
    return tuple(str(word) for word in generator.choice(FILLERS, units * WORDS_A_UNIT))


def token_ids(replies: Sequence[Reply]) -> list[list[int]]:
    """As the tokenizer has it."""
    numbers = {word: number for number, word in enumerate(VOCABULARY)}
    return [[numbers[word] for word in reply.text.split()] for reply in replies]
