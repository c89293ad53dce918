"""Sides that are a number for each pair of rows: inner products for CKA, distances for RSA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, final

import numpy as np

from heldout.techniques.representation_comparison.principal_components import Array, Rows

Standardise = Callable[[Array], Array]


@final
@dataclass(frozen=True, eq=False)
class Pairwise:
    """`raw` [row, row] and `values`, the same standardised and of unit norm; zero where nothing varies."""

    raw: Array
    values: Array
    standardise: Standardise

    @classmethod
    def of(cls, raw: Array, standardise: Standardise) -> Self:
        values = standardise(raw)
        norm = float(np.linalg.norm(values))
        return cls(raw, values / norm if norm > 0 else values, standardise)

    def __len__(self) -> int:
        return len(self.raw)

    def permuted(self, order: Rows) -> Pairwise:
        grid = np.ix_(order, order)
        return Pairwise(self.raw[grid], self.values[grid], self.standardise)

    def chosen(self, rows: Rows) -> Pairwise:
        return Pairwise.of(self.raw[np.ix_(rows, rows)], self.standardise)

    def agreement(self, other: Pairwise) -> float:
        """The cosine between the two, as standardised: between −1 and 1."""
        return float(np.clip(np.vdot(self.values, other.values), -1.0, 1.0))
