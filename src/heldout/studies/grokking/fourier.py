"""Fourier analysis on the numbers modulo p: of embeddings, neurons, W_L and logits. p is odd.

The real basis has a constant and, for each frequency k = 1 … (p − 1) / 2, cos and sin of 2πk/p. Source: arXiv 2301.05217,
sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from heldout.shapes import Float, Int

ROUNDING = 1e-12
"""A neuron whose variance is a smaller share of its squares does not change."""


def real_basis(modulus: int) -> Float[Tensor, "component number"]:
    """Orthonormal rows: the constant, cos of frequency 1, sin of frequency 1, cos of frequency 2, …"""
    numbers = torch.arange(modulus, dtype=torch.float64)
    angles = 2 * torch.pi / modulus * torch.outer(torch.arange(1, modulus // 2 + 1), numbers)
    waves = torch.stack([angles.cos(), angles.sin()], dim=1).flatten(0, 1)
    return torch.cat([torch.ones(1, modulus).double() / modulus**0.5, waves * (2 / modulus) ** 0.5])


def component_powers(matrix: Float[Tensor, "number width"]) -> Float[Tensor, " component"]:
    """The squared norm of a matrix along each component of the basis over its rows; they sum to that of the matrix."""
    return (real_basis(len(matrix)) @ matrix.double()).square().sum(dim=1)


def frequency_shares(powers: Float[Tensor, " component"]) -> Float[Tensor, " frequency"]:
    """The share of each frequency, cos and sin together; the constant has the rest."""
    return powers[1:].unflatten(0, (-1, 2)).sum(dim=1) / powers.sum()


def sum_waves(modulus: int, frequencies: Sequence[int]) -> Float[Tensor, "wave pair"]:
    """cos and sin of 2πk(a + b)/p over all pairs (a, b) in the order of a · p + b, of unit length and orthogonal."""
    numbers = torch.arange(modulus)
    sums = (numbers[:, None] + numbers).flatten() % modulus
    rows = [row for k in frequencies for row in (2 * k - 1, 2 * k)]
    return real_basis(modulus)[rows][:, sums] / modulus**0.5


def logit_waves(
    logits: Float[Tensor, "pair number"], pairs: Int[Tensor, "pair 2"]
) -> tuple[Float[Tensor, " frequency"], Float[Tensor, " frequency"]]:
    """The coefficients, in logits, of cos and of sin of 2πk(a + b − c)/p in the logits of all pairs and answers c.

    A model that adds by trigonometric identities has a few cosines and no sines."""
    modulus = logits.shape[1]
    distances = (pairs.sum(dim=1, keepdim=True) - torch.arange(modulus)) % modulus
    means = torch.zeros(modulus, dtype=torch.float64).index_add_(0, distances.flatten(), logits.double().flatten())
    means /= len(pairs)
    coefficients = real_basis(modulus)[1:] @ means * (2 / modulus) ** 0.5
    return coefficients[0::2], coefficients[1::2]


def neuron_shares(neurons: Float[Tensor, "pair neuron"], modulus: int) -> Float[Tensor, "frequency neuron"]:
    """The share of each neuron's variance over all pairs that one frequency explains: the products of 1, cos and sin of
    2πka/p with those of 2πkb/p, without the constant. 0 for a neuron that does not change but for rounding."""
    basis = real_basis(modulus)
    centred = neurons.double() - neurons.double().mean(dim=0)
    variance, size = centred.square().sum(dim=0), neurons.double().square().sum(dim=0)
    waves_ibn = (basis @ centred.unflatten(0, (modulus, modulus)).flatten(1)).unflatten(1, (modulus, -1))
    blocks = [[0, 2 * k - 1, 2 * k] for k in range(1, modulus // 2 + 1)]
    own = torch.stack([(basis[block] @ waves_ibn[block]).square().sum(dim=(0, 1)) for block in blocks])
    return torch.where(variance > ROUNDING * size, own / variance, 0.0)
