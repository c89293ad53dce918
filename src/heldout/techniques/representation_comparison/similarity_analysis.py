"""Representational similarity analysis with cross-validated distances between conditions (crossnobis)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.covariance import ledoit_wolf

from heldout.errors import InputError, Problem
from heldout.techniques.representation_comparison.pairwise import Pairwise
from heldout.techniques.representation_comparison.principal_components import Array, PrincipalComponents

LEAST_CONDITIONS = 5
"""Four conditions have 24 orders: no p-value below 0.04 could come of them."""
REPETITIONS = 2


@final
@dataclass(frozen=True)
class RSA:
    """Spearman's correlation between the two sides' distances of conditions (Kriegeskorte et al. 2008). `conditions` has
    one for each item: the items of a condition are its repetitions.

    A distance is the squared Mahalanobis distance between means in the covariance within conditions, cross-validated
    (crossnobis: Walther et al. 2016): no item is multiplied with itself, so that it is 0 on average between conditions
    that do not differ. Conditions of one item are left out."""

    conditions: Sequence[str]
    name: str = "rsa"
    unit: str = "rank correlation of distances"
    rows: str = "conditions"
    limits: tuple[float, float] = (-1.0, 1.0)

    def side(self, components: PrincipalComponents) -> Pairwise:
        labels = self._labels(components)
        kept = repeated(labels)
        return Pairwise.of(crossnobis(components.scores[kept], labels[kept]), rank_standardised)

    def value(self, one: Pairwise, other: Pairwise) -> float:
        return one.agreement(other)

    def similarity(self, value: Array | float) -> Array | float:
        return value

    def _labels(self, components: PrincipalComponents) -> NDArray[np.str_]:
        """The conditions of the items that there are."""
        called, last = f"RSA({len(self.conditions)} conditions)", int(components.items.max())
        if last >= len(self.conditions):
            next_step = "give the label of each item, in the order of the items"
            found = f"{len(self.conditions)} conditions for at least {last + 1} items"
            raise InputError(called, Problem(found, "a condition for each item", next_step))
        labels = np.asarray(self.conditions, dtype=np.str_)[components.items]
        recurring = len(np.unique(labels[repeated(labels)]))
        if recurring < LEAST_CONDITIONS:
            found = f"{recurring} conditions with at least {REPETITIONS} items"
            expected = f"at least {LEAST_CONDITIONS} such conditions"
            next_step = "group the items by something that recurs more often, or leave RSA out"
            raise InputError(called, Problem(found, expected, next_step))
        return labels


def repeated(labels: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Which items have a condition that recurs."""
    counts = Counter(labels.tolist())
    return np.array([counts[label] >= REPETITIONS for label in labels.tolist()], dtype=np.bool_)


def crossnobis(values: Array, labels: NDArray[np.str_]) -> Array:
    """Squared distances [condition, condition] of `values` [item, component], unbiased for independent repetitions:
    ‖μᵢ‖² is estimated by the mean of ⟨a, b⟩ over different items a and b of condition i."""
    _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    members = np.equal.outer(np.arange(len(counts)), places).astype(np.float64)
    means = members @ values / counts[:, None]
    whitened = whiten(values, values - means[places])
    products = whitened @ whitened.T
    sums = members @ products @ members.T
    own = (np.diag(sums) - members @ np.diag(products)) / (counts * (counts - 1))
    squared = own[:, None] + own[None, :] - 2 * sums / np.outer(counts, counts)
    np.fill_diagonal(squared, 0.0)
    return squared


def whiten(values: Array, residuals: Array) -> Array:
    """The values in units of the residuals' covariance, which is shrunk towards a multiple of the identity (Ledoit and
    Wolf 2004); as they are where nothing varies within conditions."""
    covariance, _ = ledoit_wolf(residuals, assume_centered=True)
    if not np.any(covariance):
        return values
    return np.linalg.solve(np.linalg.cholesky(covariance), values.T).T


def rank_standardised(distances: Array) -> Array:
    """The ranks of the distances of different conditions, less their mean, on both sides of a zero diagonal."""
    upper = np.triu_indices(len(distances), 1)
    ranks = rankdata(distances[upper])
    standardised = np.zeros_like(distances)
    standardised[upper] = ranks - ranks.mean()
    return standardised + standardised.T
