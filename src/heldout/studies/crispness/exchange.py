"""Tests that exchange whole groups. Minimal pairs, and texts of one template or document, are alike: what says little of the
one says little of the others, so that a group counts as one observation, however many texts it has.

What can be found is limited by the groups: with n of them a one-sided p-value is no less than 2^-n, a two-sided one no less
than 2 · 2^-n. Changes of sign are exact where each group has as many texts of either of two values, or where readouts are
compared on the same texts; with more values, or unequal ones, they are an approximation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from math import factorial, prod

import numpy as np

from heldout.execution.result import Null
from heldout.seeds import numpy_generator
from heldout.statistics import permutation_p_value
from heldout.studies.crispness.reading import Array, Labels, Rows

LEVEL = 0.05
"""What a p-value, corrected over latents where it is claimed on, must not exceed."""
ENUMERATED = 12
"""Of so many groups every pattern of signs is tried, and of more, as many patterns at random."""
DRAWS = 2**ENUMERATED - 1


def members_of(groups: Sequence[str]) -> list[Rows]:
    """The numbers of the texts of each group."""
    names = np.array(groups)
    return [np.flatnonzero(names == name) for name in sorted(set(groups))]


def sign_flips(count: int, seed: int) -> Array:
    """Signs, draw × group: every pattern but the first, in which all stay, or `DRAWS` random ones."""
    if count <= ENUMERATED:
        return np.array(list(product([1.0, -1.0], repeat=count))[1:]).reshape(-1, count)
    return random_signs(count, seed)


def random_signs(count: int, seed: int) -> Array:
    return numpy_generator(seed, "signs", count).choice([-1.0, 1.0], size=(DRAWS, count))


def sign_null(name: str, gains: Array, groups: Sequence[str], seed: int) -> Null:
    """What the mean of gains (of a text or pair) is where the sign of each group is random. One-sided: gains above 0."""
    sums = np.array([gains[rows].sum() for rows in members_of(groups)])
    draws = sign_flips(len(sums), seed) @ sums / len(gains)
    p_value = permutation_p_value(float(gains.mean()), draws)
    return Null(name, float(draws.mean()), float(draws.max()), len(draws), p_value)


def exchanged_accuracies(predicted: Labels, labels: Labels, groups: Sequence[str], seed: int) -> Array:
    """Accuracies if predictions told nothing of labels. Where a group has several values, what it has beyond the agreement
    of its margins changes its sign; groups of one value exchange their labels with each other, whole."""
    mixed, whole = kinds_of(labels, groups)
    expected = np.array([expected_agreement(predicted[rows], labels[rows]) for rows in mixed])
    beyond = np.array([np.sum(predicted[rows] == labels[rows]) for rows in mixed]) - expected
    right = expected.sum() + (random_signs if whole else sign_flips)(len(mixed), seed) @ beyond
    if whole:
        values = np.array([labels[rows[0]] for rows in whole])
        agreements = np.array([[np.sum(predicted[rows] == value) for value in values] for rows in whole])
        generator, places = numpy_generator(seed, "whole groups", len(whole)), np.arange(len(whole))
        right = right + [agreements[places, generator.permutation(places)].sum() for _ in range(DRAWS)]
    accuracies: Array = right / len(labels)
    return accuracies


def kinds_of(labels: Labels, groups: Sequence[str]) -> tuple[list[Rows], list[Rows]]:
    """Groups of several values, and groups of one."""
    members = members_of(groups)
    several = [len(set(labels[rows].tolist())) > 1 for rows in members]
    return (
        [rows for rows, mixed in zip(members, several, strict=True) if mixed],
        [rows for rows, mixed in zip(members, several, strict=True) if not mixed],
    )


def expected_agreement(predicted: Labels, labels: Labels) -> float:
    """How many predictions agree with labels that are exchanged within the group, on average."""
    said, true = Counter(predicted.tolist()), Counter(labels.tolist())
    return sum(said[value] * count for value, count in true.items()) / len(labels)


def least_p_value(labels: Labels, groups: Sequence[str]) -> float:
    """The least that both tests can give for these groups."""
    mixed, whole = kinds_of(labels, groups)
    counts = Counter(str(labels[rows[0]]) for rows in whole)
    arrangements = 2 ** len(mixed) * factorial(len(whole)) // prod(factorial(count) for count in counts.values())
    return max(1 / arrangements, 0.5 ** len(set(groups)), 1 / (DRAWS + 1))
