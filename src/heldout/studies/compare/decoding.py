"""Does a model hold a concept? A linear readout, chosen and tested on prompts of its own, against what needs no training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from heldout.data import Splits, split_samples
from heldout.execution.result import Null, Result
from heldout.models import Site
from heldout.seeds import numpy_generator
from heldout.statistics import paired_gain_p_value, permutation_p_value, proportion_interval
from heldout.studies.compare.concepts import Concept
from heldout.studies.compare.items import Items
from heldout.studies.compare.readings import Reading
from heldout.techniques import AnswerReadoutFitter
from heldout.techniques.probes import bag_of_tokens

PERMUTED, UNTRAINED, WORDS = "permuted labels", "untrained model", "bag of tokens"
PERMUTATIONS = 999
LEVEL = 0.05

Flags = NDArray[np.bool_]
Labels = NDArray[np.str_]


@final
@dataclass(frozen=True, eq=False)
class Parts:
    """The items that have a label, in three parts that share no question: to fit, to choose the site, to test."""

    fit: list[int]
    choose: list[int]
    test: list[int]


@final
@dataclass(frozen=True, eq=False)
class Decoded:
    """What was read of one model at the site that was chosen, item by item of the test part."""

    site: Site
    predicted: Labels
    right: Flags


@final
@dataclass(frozen=True)
class Held:
    """A concept in a model. `p_value` is the largest over the nulls, corrected over all concepts and models (Benjamini and
    Hochberg 1995)."""

    model: str
    concept: str
    site: str
    accuracy: float
    n: int
    interval: tuple[float, float]
    nulls: tuple[Null, ...]
    p_value: float
    held: bool
    values: int

    def result(self) -> Result:
        return Result(
            technique="linear readout",
            quantity="readout_accuracy",
            unit="fraction of prompts",
            effect=self.accuracy,
            n=self.n,
            interval=self.interval,
            nulls=self.nulls,
            site=self.site,
            layer=Site.parse(self.site).layer,
            split="test",
            settings={"model": self.model, "concept": self.concept, "p_value": self.p_value, "held": self.held},
        )


@final
@dataclass(frozen=True, eq=False)
class Decodings:
    """Every concept in every model, and the sites that were chosen, untrained models among them."""

    held: tuple[Held, ...]
    sites: Mapping[tuple[str, str], Site] = field(default_factory=dict[tuple[str, str], Site])
    """By concept and model."""


def decode_concepts(readings: Sequence[Reading], items: Items, concepts: Sequence[Concept], seed: int) -> Decodings:
    rows: list[tuple[Concept, Reading, Decoded, tuple[Null, ...]]] = []
    sites: dict[tuple[str, str], Site] = {}
    for concept in concepts:
        parts = parts_of(items, concept, seed)
        decoded = {reading.label: decode(reading.activations, concept, parts) for reading in readings}
        sites |= {(concept.name, label): each.site for label, each in decoded.items()}
        for reading in readings:
            if reading.trained:
                words = decode(bag(reading), concept, parts)
                nulls = nulls_of(
                    decoded[reading.label], decoded[str(reading.twin)], words, labels_of(concept, parts.test), seed
                )
                rows.append((concept, reading, decoded[reading.label], nulls))
    return Decodings(tuple(corrected(rows)), sites)


def parts_of(items: Items, concept: Concept, seed: int) -> Parts:
    """The splits of the suite's own rule. Where the concept goes with the template, so that a value could not be fitted and
    tested in different templates, they may share them."""
    samples = [items.samples[item] for item in concept.known]
    parts = by_number(items, split_samples(samples, seed))
    if set(labels_of(concept, parts.test)) <= set(labels_of(concept, parts.fit)):
        return parts
    alike = [replace(sample, template="any", cue=None) for sample in samples]
    return by_number(items, split_samples(alike, seed))


def by_number(items: Items, splits: Splits) -> Parts:
    numbers = {sample.id: item for item, sample in enumerate(items.samples)}
    fit, *choose, test = ([numbers[sample.id] for sample in part] for part in splits.parts().values())
    return Parts(fit, [item for part in choose for item in part], test)


def decode(activations: Mapping[Site, Tensor], concept: Concept, parts: Parts) -> Decoded:
    """Fitted at every site; of the sites that choose best, the first is tested."""
    wanted, tested = labels_of(concept, parts.choose), labels_of(concept, parts.test)
    fitted = {
        site: AnswerReadoutFitter().fit(values[parts.fit], labels_of(concept, parts.fit))
        for site, values in activations.items()
    }
    scores = {site: float((fitted[site](activations[site][parts.choose]) == wanted).mean()) for site in fitted}
    best = max(scores, key=lambda site: scores[site])
    predicted = fitted[best](activations[best][parts.test])
    return Decoded(best, predicted, predicted == tested)


def labels_of(concept: Concept, rows: Sequence[int]) -> Labels:
    return np.array([concept.labels[row] for row in rows], dtype=np.str_)


def bag(reading: Reading) -> Mapping[Site, Tensor]:
    """How often each word stands in each prompt, in the place of a site."""
    tokens = reading.tokens
    vocabulary = torch.unique(tokens.ids[tokens.mask.bool()])
    return {Site("resid_pre", 0): bag_of_tokens(tokens.ids, tokens.mask, vocabulary)}


def nulls_of(found: Decoded, untrained: Decoded, words: Decoded, labels: Labels, seed: int) -> tuple[Null, ...]:
    """Labels given to other prompts of the test part; and, prompt by prompt, what the same readout gets right without any
    training of the model, and without a model (exact McNemar tests)."""
    generator = numpy_generator(seed, "labels of other prompts", len(labels))
    draws = np.array([np.mean(found.predicted == generator.permutation(labels)) for _ in range(PERMUTATIONS)])
    p_value = permutation_p_value(float(found.right.mean()), draws)
    return (
        Null(PERMUTED, float(draws.mean()), float(draws.max()), len(draws), p_value),
        paired_null(UNTRAINED, found, untrained),
        paired_null(WORDS, found, words),
    )


def paired_null(name: str, found: Decoded, reference: Decoded) -> Null:
    rate = float(reference.right.mean())
    gained, lost = int((found.right & ~reference.right).sum()), int((~found.right & reference.right).sum())
    return Null(name, rate, rate, len(found.right), paired_gain_p_value(gained, lost))


def corrected(rows: Sequence[tuple[Concept, Reading, Decoded, tuple[Null, ...]]]) -> list[Held]:
    if not rows:
        return []
    largest = np.array([max(null.p_value or 0.0 for null in nulls) for _, _, _, nulls in rows])
    adjusted: Any = stats.false_discovery_control(largest)
    return [
        Held(
            model=reading.label,
            concept=concept.name,
            site=str(decoded.site),
            accuracy=float(decoded.right.mean()),
            n=len(decoded.right),
            interval=proportion_interval(int(decoded.right.sum()), len(decoded.right)),
            nulls=nulls,
            p_value=float(p_value),
            held=bool(p_value <= LEVEL),
            values=len({concept.labels[item] for item in concept.known}),
        )
        for (concept, reading, decoded, nulls), p_value in zip(rows, adjusted, strict=True)
    ]
