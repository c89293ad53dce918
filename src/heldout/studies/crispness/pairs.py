"""Pairs of test texts: those that differ in the latent, and those that agree in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from heldout.seeds import numpy_generator
from heldout.studies.crispness.reading import Labels, LatentTexts, Rows


@final
@dataclass(frozen=True, eq=False)
class TextPairs:
    """Numbers of texts, [pair, 2]. Differing pairs are minimal ones where the texts come in such, and else random."""

    differ: Rows
    agree: Rows
    minimal: bool


def text_pairs(texts: LatentTexts, count: int, seed: int) -> TextPairs:
    """At most `count` of each kind, of the test part. Agreeing pairs are as alike as can be: of one group, if there are
    enough."""
    test, labels = texts.rows("test"), texts.labels
    generator = numpy_generator(seed, "pairs", len(test))
    named: dict[str, list[int]] = defaultdict(list)
    for row in test.tolist():
        if (name := texts.texts[row].pair) is not None:
            named[name].append(row)
    minimal = [rows[:2] for rows in named.values() if len(rows) >= 2 and labels[rows[0]] != labels[rows[1]]]
    differ = minimal or list(drawn(test, labels, count, generator, alike=False))
    chosen = generator.permutation(len(differ))[:count]
    turned = [differ[place][:: -1 if turn % 2 else 1] for turn, place in enumerate(chosen)]
    return TextPairs(np.array(turned), np.array(list(drawn(test, labels, count, generator, alike=True))), bool(minimal))


def drawn(
    test: Rows, labels: Labels, count: int, generator: np.random.Generator, *, alike: bool
) -> Iterator[list[int]]:
    """Random pairs of different texts whose labels are alike, or are not, each pair once."""
    seen: set[tuple[int, int]] = set()
    for _ in range(50 * count):
        first, second = (int(row) for row in generator.choice(test, 2, replace=False))
        if (labels[first] == labels[second]) == alike and (min(first, second), max(first, second)) not in seen:
            seen.add((min(first, second), max(first, second)))
            yield [first, second]
            if len(seen) == count:
                return
