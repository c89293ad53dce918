"""Triples of test texts: one, another that differs from it in the latent, and a third that agrees with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heldout.seeds import numpy_generator
from heldout.studies.crispness.reading import LatentTexts, Rows


@final
@dataclass(frozen=True, eq=False)
class TextPairs:
    """Numbers of texts, [pair]: each text of `first` makes a pair with one of `differ` and one with one of `agree`.
    Differing pairs are minimal ones where the texts come in such, and else random. `groups` are those of the first texts."""

    first: Rows
    differ: Rows
    agree: Rows
    groups: tuple[str, ...]
    minimal: bool


def text_pairs(texts: LatentTexts, count: int, seed: int) -> TextPairs:
    """At most `count` of each kind, of the test part, spread over its groups. The agreeing text is of the group of the
    differing one, if that has any; or else, as that one, of another group than the first."""
    test = texts.rows("test")
    generator = numpy_generator(seed, "pairs", len(test))
    differing = minimal_pairs(texts, test)
    minimal = bool(differing)
    if not minimal:
        alone = (
            (first, partner(texts, test, first, None, generator)) for first in generator.permutation(test).tolist()
        )
        differing = [(first, second) for first, second in alone if second is not None]
    triples: list[tuple[int, int, int]] = []
    for first, second in spread_over_groups(texts, [differing[i] for i in generator.permutation(len(differing))]):
        turned = (second, first) if minimal and len(triples) % 2 else (first, second)
        if (third := partner(texts, test, *turned, generator)) is not None:
            triples.append((*turned, third))
        if len(triples) == count:
            break
    rows = np.array(triples, dtype=int).reshape(-1, 3)
    groups = tuple(texts.texts[row].group for row in rows[:, 0].tolist())
    return TextPairs(rows[:, 0], rows[:, 1], rows[:, 2], groups, minimal)


def minimal_pairs(texts: LatentTexts, test: Rows) -> list[tuple[int, int]]:
    named: dict[str, list[int]] = defaultdict(list)
    for row in test.tolist():
        if (name := texts.texts[row].pair) is not None:
            named[name].append(row)
    labels = texts.labels
    return [(rows[0], rows[1]) for rows in named.values() if len(rows) >= 2 and labels[rows[0]] != labels[rows[1]]]


def spread_over_groups(texts: LatentTexts, pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """One of each group, then a second of each, and so on."""
    seen: dict[str, int] = defaultdict(int)
    turns: list[int] = []
    for first, _ in pairs:
        group = texts.texts[first].group
        turns.append(seen[group])
        seen[group] += 1
    return (pairs[place] for place in np.argsort(turns, kind="stable"))


def partner(
    texts: LatentTexts, test: Rows, first: int, differing: int | None, generator: np.random.Generator
) -> int | None:
    """A random text that agrees with `first` or, without `differing`, one that differs; None where there is none."""
    here = texts.texts[first]
    every = [row for row in test.tolist() if texts.texts[row].text != here.text]
    if differing is None:
        found = [row for row in every if texts.texts[row].value != here.value]
        near = [row for row in found if texts.texts[row].group == here.group]
    else:
        there = texts.texts[differing]
        found = [row for row in every if texts.texts[row].value == here.value]
        near = [row for row in found if texts.texts[row].group == there.group]
        if there.group != here.group:
            near = near or [row for row in found if texts.texts[row].group != here.group]
    chosen = near or found
    return int(generator.choice(chosen)) if chosen else None
