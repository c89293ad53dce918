"""Samples that must not be parted: what is known of one of them is known of the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from heldout.data.samples import Role, Sample
from heldout.data.templates import template_of

Cell = tuple[str, Role]
"""A behaviour and a role: what the shares of the splits are reckoned within."""


@dataclass(frozen=True)
class Unit:
    """Samples that stay in one split, in the order of their ids."""

    samples: tuple[Sample, ...]

    @property
    def name(self) -> str:
        return self.samples[0].id

    def count(self) -> Counter[Cell]:
        return Counter(cell_of(sample) for sample in self.samples)


def cell_of(sample: Sample) -> Cell:
    return (sample.behaviour, sample.role)


def same_question(sample: Sample) -> list[Hashable]:
    """Keys that two samples share if they are a pair or have the same input, white space aside."""
    pair = [("id", sample.pair)] if sample.pair is not None else []
    return [("id", sample.id), *pair, ("input", " ".join(sample.input.split()))]


def same_template(sample: Sample) -> list[Hashable]:
    """Keys that two samples share if they ask the same question or have the same template."""
    return [*same_question(sample), ("template", template_of(sample))]


def largest_counts(units: Iterable[Unit]) -> Counter[Cell]:
    """The most samples of each cell that one unit holds."""
    largest: Counter[Cell] = Counter()
    for unit in units:
        largest |= unit.count()
    return largest


def connected(samples: Iterable[Sample], keys: Callable[[Sample], Iterable[Hashable]]) -> list[Unit]:
    """The connected components under "shares a key", by the smallest id in each."""
    parent: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    ordered = sorted(samples, key=lambda sample: sample.id)
    for sample in ordered:
        first, *others = keys(sample)
        for key in others:
            parent[root(key)] = root(first)
    members: dict[Hashable, list[Sample]] = defaultdict(list)
    for sample in ordered:
        members[root(next(iter(keys(sample))))].append(sample)
    return [Unit(tuple(group)) for group in members.values()]
