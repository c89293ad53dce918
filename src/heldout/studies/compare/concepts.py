"""The variables that people use for a task, as labels of prompts: each latent of a suite, and the right answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from heldout.data import Sample
from heldout.studies.compare.items import Items

RIGHT_ANSWER = "right answer"
MOST_VALUES = 20
"""Numbers with more values than this are put into five groups of about equal size."""
GROUPS = 5
LEAST_OF_A_VALUE = 5
LEAST_LABELLED = 40


@final
@dataclass(frozen=True)
class Concept:
    """`labels` has one for each item, None where it is not known or too rare."""

    name: str
    labels: tuple[str | None, ...]

    @property
    def known(self) -> list[int]:
        """The numbers of the items that have a label."""
        return [item for item, label in enumerate(self.labels) if label is not None]


@final
@dataclass(frozen=True)
class Skipped:
    """A concept that is not compared."""

    name: str
    reason: str


def concepts_of(items: Items) -> tuple[list[Concept], list[Skipped]]:
    """The right answer where it is known, and every latent that recurs."""
    concepts: list[Concept] = []
    skipped: list[Skipped] = []
    for name, values in raw_values(items.samples).items():
        labels = frequent(as_labels(values))
        concept = Concept(name, labels)
        reason = shortcoming(concept)
        if reason is None:
            concepts.append(concept)
        else:
            skipped.append(Skipped(name, reason))
    return concepts, skipped


def raw_values(samples: Sequence[Sample]) -> Mapping[str, list[Any]]:
    if not samples:
        return {}
    names = sorted({name for sample in samples for name in sample.latents})
    found: dict[str, list[Any]] = {RIGHT_ANSWER: [sample.target for sample in samples]}
    return {**found, **{name: [sample.latents.get(name) for sample in samples] for name in names}}


def as_labels(values: Sequence[Any]) -> list[str | None]:
    """Texts, flags and numbers as they are; many different numbers by the fifth in which they lie; nothing else."""
    known = [value for value in values if is_number(value)]
    if len(set(known)) > MOST_VALUES and all(value is None or is_number(value) for value in values):
        edges = np.quantile(np.array(known, dtype=np.float64), np.linspace(0, 1, GROUPS + 1)[1:-1])
        return [
            None if value is None else f"fifth {int(np.searchsorted(edges, float(value), side='left')) + 1}"
            for value in values
        ]
    return [str(value) if isinstance(value, str | bool | int | float) else None for value in values]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def frequent(labels: Sequence[str | None]) -> tuple[str | None, ...]:
    """Without the labels that are too rare to be fitted and tested."""
    counts = Counter(labels)
    return tuple(label if label is not None and counts[label] >= LEAST_OF_A_VALUE else None for label in labels)


def shortcoming(concept: Concept) -> str | None:
    known = concept.known
    values = {concept.labels[item] for item in known}
    if len(values) < 2:
        return f"{len(values)} values that at least {LEAST_OF_A_VALUE} prompts have; two are needed"
    if len(known) < LEAST_LABELLED:
        return f"{len(known)} prompts have it; {LEAST_LABELLED} are needed"
    return None
