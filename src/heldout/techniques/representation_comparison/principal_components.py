"""One side of a comparison in its own principal axes, in which every measure of this room is computed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

RANK = 1e-6
"""Components below this share of the largest singular value are noise of float32."""
FAR_OUT = 3.0
"""Interquartile ranges above the third quartile at which Tukey calls a value far out."""


@final
@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Centred activations as `scores` [item, component] along orthonormal `axes` [component, feature], the largest
    variance first. Inner products and distances between items are those of the activations, which are scores @ axes.

    `items` are the numbers that the items had in the first place."""

    scores: Array
    axes: Array
    items: Rows

    @classmethod
    def of(cls, activations: Any) -> Self:
        """Of activations [item, feature]. There is no component where all items are the same."""
        values = np.asarray(activations, dtype=np.float64)
        centred = values - values.mean(axis=0)
        left, sizes, axes = np.linalg.svd(centred, full_matrices=False)
        noise = RANK * max(float(sizes.max(initial=0.0)), float(np.abs(values).max(initial=0.0)))
        kept = sizes > noise
        return cls(left[:, kept] * sizes[kept], axes[kept], np.arange(len(values)))

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def constant(self) -> bool:
        """Whether nothing tells the items apart."""
        return self.scores.shape[1] == 0

    @property
    def first_share(self) -> float:
        """The share of the variance that lies along the first component."""
        variances = (self.scores**2).sum(axis=0)
        return float(variances[0] / variances.sum())

    def without_first(self, count: int) -> PrincipalComponents:
        return PrincipalComponents(self.scores[:, count:], self.axes[count:], self.items)

    def of_items(self, rows: Rows) -> PrincipalComponents:
        """Of these rows alone: centred on their mean, in axes of their own."""
        chosen = PrincipalComponents.of(self.scores[rows])
        return PrincipalComponents(chosen.scores, chosen.axes @ self.axes, self.items[rows])

    def explaining(self, share: float) -> PrincipalComponents:
        """The first components that hold this share of the variance together."""
        variances = (self.scores**2).sum(axis=0)
        count = int(np.searchsorted(np.cumsum(variances), share * variances.sum() * (1 - 1e-12))) + 1
        return PrincipalComponents(self.scores[:, :count], self.axes[:count], self.items)

    @cached_property
    def outlying(self) -> NDArray[np.bool_]:
        """Which items are far out: the median of an item's distances to the others lies more than three interquartile
        ranges above the third quartile of all items' (Tukey 1977). Rotations and scales make no difference."""
        gram = self.scores @ self.scores.T
        squares = np.diag(gram)
        distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * gram, 0.0))
        typical = np.median(distances, axis=1)
        low, high = np.quantile(typical, [0.25, 0.75])
        return typical > high + FAR_OUT * (high - low) + RANK * high
