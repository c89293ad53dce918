"""Can the latent be read off, where nothing was fitted? A linear readout against what needs no understanding.

The layer is chosen on texts of their own, and tested on templates and words that neither fit nor choice had. Nulls:
labels exchanged in whole groups; the same readout of a randomly initialised twin; a bag of tokens. The control task
(Hewitt and Liang 2019, arXiv 1909.03368) gives each word a random label: what a readout can learn of it by heart counts
for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from heldout.execution.result import Null
from heldout.models import Site
from heldout.seeds import numpy_generator
from heldout.statistics import permutation_p_value
from heldout.studies.crispness.exchange import exchanged_accuracies, sign_null
from heldout.studies.crispness.reading import Array, Flags, Labels, LatentTexts, Rows

PERMUTED, UNTRAINED, WORDS = "permuted labels", "untrained twin", "bag of tokens"
CONTROLS = 5
STRENGTH = 0.1
"""The inverse of the readout's penalty, as scikit-learn's C."""


@final
@dataclass(frozen=True, eq=False)
class Decoded:
    """The test texts, right or wrong, at the site that the select texts chose. `by_site` is the accuracy there."""

    site: Site
    predicted: Labels
    right: Flags
    by_site: Mapping[Site, float]

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    @property
    def first_site(self) -> Site:
        """The first site whose choice accuracy above chance is 95 % of the best one's."""
        best = self.by_site[self.site]
        return next(site for site, value in self.by_site.items() if value >= best - 0.05 * max(best - 0.5, 0.0))


def readout(streams: Array, labels: Labels) -> Any:
    """A fitted logistic regression on standardised features."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000)).fit(streams, labels)


def decode(streams: Mapping[Site, Array], texts: LatentTexts) -> Decoded:
    """Of the sites that choose best, the first."""
    labels = texts.labels
    fit, select, test = (texts.rows(part) for part in ("fit", "select", "test"))
    fitted = {site: readout(values[fit], labels[fit]) for site, values in streams.items()}
    scores = {site: float(each.score(streams[site][select], labels[select])) for site, each in fitted.items()}
    best = max(scores, key=lambda site: scores[site])
    predicted: Labels = fitted[best].predict(streams[best][test])
    return Decoded(best, predicted, predicted == labels[test], scores)


def decode_bag(texts: LatentTexts) -> Decoded:
    return decode({Site("resid_pre", 0): texts.bag()}, texts)


def decoding_nulls(
    found: Decoded, twins: Sequence[Decoded], words: Decoded, labels: Labels, groups: Sequence[str], seed: int
) -> tuple[Null, ...]:
    """Labels exchanged, and the readout exchanged with the best twin's and the bag's, by whole groups of test texts."""
    draws = exchanged_accuracies(found.predicted, labels, groups, seed)
    p_value = permutation_p_value(found.accuracy, draws)
    permuted = Null(PERMUTED, float(draws.mean()), float(draws.max()), len(draws), p_value)
    best = max(twins, key=lambda twin: twin.accuracy)
    rates = [twin.accuracy for twin in twins]
    untrained = Null(UNTRAINED, float(np.mean(rates)), max(rates), len(twins), gain_p_value(found, best, groups, seed))
    return permuted, untrained, Null(WORDS, words.accuracy, words.accuracy, 1, gain_p_value(found, words, groups, seed))


def gain_p_value(found: Decoded, reference: Decoded, groups: Sequence[str], seed: int) -> float | None:
    """One-sided, that `found` is right more often on the same texts: the readouts are exchanged in whole groups."""
    return sign_null("exchanged", found.right.astype(float) - reference.right.astype(float), groups, seed).p_value


def group_interval(values: Array, groups: Sequence[str], seed: int, draws: int = 999) -> tuple[float, float]:
    """A 95 % bootstrap interval of a mean that draws whole groups (templates, documents): texts of one are alike."""
    names = sorted(set(groups))
    members = [values[np.array(groups) == name] for name in names]
    sums, counts = np.array([each.sum() for each in members]), np.array([len(each) for each in members])
    chosen = numpy_generator(seed, "groups", len(values)).integers(len(names), size=(draws, len(names)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


@final
@dataclass(frozen=True)
class Selectivity:
    """Accuracy on the task less that on control tasks, both on `n` other texts with the same words. `controls` are the
    accuracies of control tasks; None where no word recurs."""

    task: float
    controls: tuple[float, ...]
    n: int

    @property
    def value(self) -> float | None:
        return self.task - float(np.mean(self.controls)) if self.controls else None


def selectivity(streams: Array, texts: LatentTexts, seed: int, draws: int = CONTROLS) -> Selectivity:
    """One half of the texts to fit, the other, as far as its words stand in the first, to test."""
    fit = texts.rows("fit")
    order = numpy_generator(seed, "halves", len(fit)).permutation(fit)
    first, second = order[::2], order[1::2]
    words = np.array([text.word for text in texts.texts])
    second = second[np.isin(words[second], words[first])]
    if not len(second):
        return Selectivity(0.0, (), 0)
    task = half_accuracy(streams, texts.labels, first, second)
    controls = [half_accuracy(streams, control_labels(words, texts, seed, i), first, second) for i in range(draws)]
    return Selectivity(task, tuple(controls), len(second))


def half_accuracy(streams: Array, labels: Labels, first: Rows, second: Rows) -> float:
    if len(set(labels[first].tolist())) < 2:
        return float(np.mean(labels[second] == labels[first][0]))
    return float(readout(streams[first], labels[first]).score(streams[second], labels[second]))


def control_labels(words: Labels, texts: LatentTexts, seed: int, draw: int) -> Labels:
    """A random value for each word, the same wherever it stands; as many words for each value as can be."""
    generator = numpy_generator(seed, "control task", draw)
    kinds = generator.permutation(sorted(set(words.tolist())))
    assigned = {word: texts.values[place % len(texts.values)] for place, word in enumerate(kinds)}
    return np.array([assigned[word] for word in words])
