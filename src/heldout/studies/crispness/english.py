"""The text set that heldout brings: grammar in templated sentences, topic and code in real text."""

from __future__ import annotations

from heldout.studies.crispness.corpus import MOST, passages
from heldout.studies.crispness.grammar import PAIRS, sentences
from heldout.studies.crispness.texts import Part, TextSet


def english(seed: int = 0, share: float = 1.0) -> TextSet:
    """Seven latents: tense, number, negation, question, person, topic and code. `share` makes all parts smaller."""
    return TextSet("english", (*sentences(seed, shared(PAIRS, share)), *passages(seed, shared(MOST, share))))


def shared(counts: dict[Part, int], share: float) -> dict[Part, int]:
    return {part: max(8, round(share * count)) for part, count in counts.items()}
