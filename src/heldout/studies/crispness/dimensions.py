"""How many directions does the latent need, and how many hold it?

Readouts are fitted one after another, each on what the directions of those before leave (iterative nullspace projection,
Ravfogel et al. 2020, arXiv 2004.07667). The rank is the number of first directions that keep 95 % of the accuracy above
chance; the spread is the number that must be removed until the latent is not shown to be read off any more: until exchanges
of labels in whole groups do as well, at 5 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from heldout.seeds import numpy_generator
from heldout.statistics import permutation_p_value
from heldout.studies.crispness.decoding import readout
from heldout.studies.crispness.exchange import LEVEL, exchanged_accuracies
from heldout.studies.crispness.reading import Array, Labels, LatentTexts

SHARE = 0.95
MOST = 24
RANDOM = 5
POWERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


@final
@dataclass(frozen=True)
class Dimensions:
    """`kept[k]` and `left[k]`: test accuracy within the first k + 1 batches of directions, and after they are removed.
    `free` is the size of a batch: the number of values less one. `rank` and `spread` are None where more than were tried
    are needed, and None and 0 where the latent was not shown to be read off to begin with; `random_rank` is the rank, in
    powers of two, of random directions, the median of some draws."""

    accuracy: float
    chance: float
    free: int
    kept: tuple[float, ...]
    left: tuple[float, ...]
    rank: int | None
    spread: int | None
    random_rank: int | None


def dimensions(streams: Array, texts: LatentTexts, seed: int, most: int = MOST) -> Dimensions:
    """At one site; fitted on the fit texts, measured on the test texts."""
    labels, free = texts.labels, len(texts.values) - 1
    fit, test = texts.rows("fit"), texts.rows("test")
    scaled = (streams - streams[fit].mean(axis=0)) / streams[fit].std(axis=0).clip(1e-9)
    chance = max(float((labels[test] == value).mean()) for value in texts.values)
    basis: Array = np.empty((0, scaled.shape[1]))
    kept: list[float] = []
    left: list[float] = []
    full, found = tested(scaled, texts, seed)
    gone = not found
    while len(basis) < min(most * free, scaled.shape[1] - free):
        basis = np.concatenate([basis, new_directions(scaled - scaled @ basis.T @ basis, texts, basis)])
        kept.append(accuracy_of(scaled @ basis.T, texts))
        remaining, shown = tested(scaled - scaled @ basis.T @ basis, texts, seed)
        left.append(remaining)
        if gone := not shown:
            break
    enough = chance + SHARE * (full - chance)
    rank = next((free * (place + 1) for place, value in enumerate(kept) if value >= enough), None)
    spread = free * len(left) if gone else None
    random = random_rank(scaled, texts, enough, seed) if found else None
    return Dimensions(
        full, chance, free, tuple(kept), tuple(left), rank if found else None, spread if found else 0, random
    )


def accuracy_of(values: Array, texts: LatentTexts) -> float:
    return float(np.mean(predicted_of(values, texts) == texts.labels[texts.rows("test")]))


def tested(values: Array, texts: LatentTexts, seed: int) -> tuple[float, bool]:
    """The accuracy, and whether it is above that of labels exchanged in whole groups."""
    predicted, wanted = predicted_of(values, texts), texts.labels[texts.rows("test")]
    accuracy = float(np.mean(predicted == wanted))
    draws = exchanged_accuracies(predicted, wanted, texts.groups("test"), seed)
    return accuracy, permutation_p_value(accuracy, draws) <= LEVEL


def predicted_of(values: Array, texts: LatentTexts) -> Labels:
    fit, test = texts.rows("fit"), texts.rows("test")
    predicted: Labels = readout(values[fit], texts.labels[fit]).predict(values[test])
    return predicted


def new_directions(values: Array, texts: LatentTexts, basis: Array) -> Array:
    """Orthonormal directions of a readout, at right angles to `basis`."""
    fit = texts.rows("fit")
    fitted: Any = readout(values[fit], texts.labels[fit])
    weights = fitted[-1].coef_ / fitted[0].scale_
    weights = weights - weights @ basis.T @ basis
    rank = len(texts.values) - 1
    return np.linalg.svd(weights, full_matrices=False)[2][:rank]


def random_rank(values: Array, texts: LatentTexts, enough: float, seed: int) -> int | None:
    """How many random directions keep as much; the median over draws."""
    width = values.shape[1]
    found: list[float] = []
    for draw in range(RANDOM):
        generator = numpy_generator(seed, "random directions", draw)
        basis = np.linalg.qr(generator.normal(size=(width, width)))[0].T
        tried = (k for k in POWERS if k <= width)
        found.append(next((k for k in tried if accuracy_of(values @ basis[:k].T, texts) >= enough), width))
    return int(np.median(found))
