"""The text set that heldout brings: grammar in templated sentences, topic and code in real text."""

from __future__ import annotations

from heldout.studies.crispness.corpus import MOST, passages
from heldout.studies.crispness.grammar import PAIRS, sentences
from heldout.studies.crispness.texts import TextSet


def english(seed: int = 0, share: float = 1.0) -> TextSet:
    """Seven latents: tense, number, negation, question, person, topic and code. `share` makes all parts smaller."""
    pairs, most = ({part: max(8, round(share * count)) for part, count in counts.items()} for counts in (PAIRS, MOST))
    return TextSet("english", (*sentences(seed, pairs), *passages(seed, most)))
