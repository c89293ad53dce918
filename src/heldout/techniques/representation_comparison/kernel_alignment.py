"""Centred kernel alignment with linear kernels: the biased estimate, and the debiased one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from heldout.techniques.representation_comparison.pairwise import Pairwise
from heldout.techniques.representation_comparison.principal_components import Array, PrincipalComponents


@final
@dataclass(frozen=True)
class DebiasedCKA:
    """HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)) with the unbiased estimate of each HSIC (Song et al. 2012, equation 5), which
    leaves out an item's inner product with itself. Unrelated sides give 0 on average, however few the items are."""

    name: str = "debiased_cka"
    unit: str = "CKA, 1 is the same up to rotation and scale"
    rows: str = "items"
    limits: tuple[float, float] = (-1.0, 1.0)

    def side(self, components: PrincipalComponents) -> Pairwise:
        return Pairwise.of(gram(components), u_centred)

    def value(self, one: Pairwise, other: Pairwise) -> float:
        return one.agreement(other)

    def similarity(self, value: Array | float) -> Array | float:
        return value


@final
@dataclass(frozen=True)
class BiasedCKA:
    """As Kornblith et al. 2019 have it, for contrast: with n items of d independent features unrelated sides give about
    d / (d + n), and one item that is far out on both sides gives 1."""

    name: str = "biased_cka"
    unit: str = "CKA, 1 is the same up to rotation and scale"
    rows: str = "items"
    limits: tuple[float, float] = (0.0, 1.0)

    def side(self, components: PrincipalComponents) -> Pairwise:
        return Pairwise.of(gram(components), doubly_centred)

    def value(self, one: Pairwise, other: Pairwise) -> float:
        return one.agreement(other)

    def similarity(self, value: Array | float) -> Array | float:
        return value


def gram(components: PrincipalComponents) -> Array:
    return components.scores @ components.scores.T


def doubly_centred(kernel: Array) -> Array:
    """H K H with H = I − 11ᵀ/n."""
    means = kernel.mean(axis=0)
    return kernel - means[:, None] - means[None, :] + means.mean()


def u_centred(kernel: Array) -> Array:
    """K with a zero diagonal, centred so that every row sums to 0: of two such matrices the inner product, divided by
    n (n − 3), is the unbiased HSIC (Székely and Rizzo 2014, section 4). n is at least 4."""
    n = len(kernel)
    hollow = kernel.copy()
    np.fill_diagonal(hollow, 0.0)
    sums = hollow.sum(axis=0)
    centred = hollow - (sums[:, None] + sums[None, :]) / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    return centred
