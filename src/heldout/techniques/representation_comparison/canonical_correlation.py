"""Canonical correlations between the principal components of two sides: SVCCA and PWCCA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from heldout.techniques.representation_comparison.principal_components import Array, PrincipalComponents, Rows

SHARE = 0.99
"""Of the variance, as in both papers."""


@final
@dataclass(frozen=True, eq=False)
class Subspace:
    """The components that hold a share of the variance, and their `basis` [item, component], orthonormal."""

    components: PrincipalComponents
    basis: Array
    share: float

    @classmethod
    def of(cls, components: PrincipalComponents, share: float) -> Subspace:
        kept = components if components.constant else components.explaining(share)
        return cls(kept, kept.scores / np.linalg.norm(kept.scores, axis=0), share)

    def __len__(self) -> int:
        return len(self.basis)

    def permuted(self, order: Rows) -> Subspace:
        there = self.components
        reordered = PrincipalComponents(there.scores[order], there.axes, there.items[order])
        return Subspace(reordered, self.basis[order], self.share)

    def chosen(self, rows: Rows) -> Subspace:
        return Subspace.of(self.components.of_items(rows), self.share)

    @property
    def loadings(self) -> Array:
        """Xᵀ basis [feature, component]: what each feature has of each basis vector."""
        return self.components.axes.T * np.linalg.norm(self.components.scores, axis=0)


@final
@dataclass(frozen=True)
class SVCCA:
    """The mean of the canonical correlations between the components that hold 99 % of each side's variance (Raghu et al.
    2017). With few items for each component every correlation comes close to 1, also between unrelated sides."""

    share: float = SHARE
    name: str = "svcca"
    unit: str = "mean canonical correlation"
    rows: str = "items"
    limits: tuple[float, float] = (0.0, 1.0)

    def side(self, components: PrincipalComponents) -> Subspace:
        return Subspace.of(components, self.share)

    def value(self, one: Subspace, other: Subspace) -> float:
        return float(canonical_correlations(one, other).mean())

    def similarity(self, value: Array | float) -> Array | float:
        return value


@final
@dataclass(frozen=True)
class PWCCA:
    """As SVCCA, each correlation weighted by how much of the first side's features its canonical variate has: Σⱼ |⟨h, xⱼ⟩|
    (Morcos et al. 2018, section 2.2). Which side is the first makes a difference."""

    share: float = SHARE
    name: str = "pwcca"
    unit: str = "weighted mean canonical correlation"
    rows: str = "items"
    limits: tuple[float, float] = (0.0, 1.0)

    def side(self, components: PrincipalComponents) -> Subspace:
        return Subspace.of(components, self.share)

    def value(self, one: Subspace, other: Subspace) -> float:
        directions, correlations, _ = np.linalg.svd(one.basis.T @ other.basis, full_matrices=False)
        weights = np.abs(one.loadings @ directions).sum(axis=0)
        return float(np.average(np.minimum(correlations, 1.0), weights=weights))

    def similarity(self, value: Array | float) -> Array | float:
        return value


def canonical_correlations(one: Subspace, other: Subspace) -> Array:
    """As many as the smaller side has components, the largest first."""
    return np.minimum(np.linalg.svd(one.basis.T @ other.basis, compute_uv=False), 1.0)
