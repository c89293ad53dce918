"""Orthogonal Procrustes: how far two clouds of items are from each other after the best rotation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from heldout.techniques.representation_comparison.principal_components import Array, PrincipalComponents, Rows


@final
@dataclass(frozen=True, eq=False)
class Cloud:
    """Centred items [item, component], of unit norm together or of their own."""

    items: Array
    unit_norm: bool

    def __len__(self) -> int:
        return len(self.items)

    def permuted(self, order: Rows) -> Cloud:
        return Cloud(self.items[order], self.unit_norm)

    def chosen(self, rows: Rows) -> Cloud:
        return cloud(self.items[rows], unit_norm=self.unit_norm)


@final
@dataclass(frozen=True)
class OrthogonalProcrustes:
    """min over rotations R of ‖X − Y R‖² = ‖X‖² + ‖Y‖² − 2 ‖XᵀY‖ (nuclear norm) of centred sides, on the scale where
    ‖X‖² + ‖Y‖² is 2: 0 is the same, 2 as far as it goes (Schönemann 1966; Ding et al. 2021). Unrelated sides are the
    nearer, the more features there are for each item.

    With `unit_norm` each side is first brought to norm 1; without, a difference of scale counts."""

    unit_norm: bool = True
    name: str = "procrustes_distance"
    unit: str = "squared distance, 0 is the same up to rotation and scale"
    rows: str = "items"
    limits: tuple[float, float] = (0.0, 2.0)

    def side(self, components: PrincipalComponents) -> Cloud:
        return cloud(components.scores, unit_norm=self.unit_norm)

    def value(self, one: Cloud, other: Cloud) -> float:
        together = float(np.linalg.svd(one.items.T @ other.items, compute_uv=False).sum())
        squares = float((one.items**2).sum() + (other.items**2).sum())
        return max(2 - 4 * together / squares, 0.0)

    def similarity(self, value: Array | float) -> Array | float:
        """‖XᵀY‖ on that scale."""
        return 1 - value / 2


def cloud(items: Array, *, unit_norm: bool) -> Cloud:
    centred = items - items.mean(axis=0)
    norm = float(np.linalg.norm(centred))
    return Cloud(centred / norm if unit_norm and norm > 0 else centred, unit_norm)
