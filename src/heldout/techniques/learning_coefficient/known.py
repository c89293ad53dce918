"""Landscapes whose learning coefficient is known exactly: what an estimator can be held against.

Their losses are those of infinitely much data, so that there is no noise but the sampler's: λ belongs to the expected
loss K(w), and the empirical loss of n observations adds a fluctuation of its own, which is no error of an estimator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from heldout.errors import InputError, Problem
from heldout.shapes import Float
from heldout.techniques.learning_coefficient.landscape import Landscape


@final
@dataclass(frozen=True, eq=False)
class Known:
    """A landscape at its most singular point, where the local coefficient is the global one."""

    name: str
    landscape: Landscape
    coefficient: float


def reduced_rank_regression(inputs: int, hidden: int, outputs: int, rank: int) -> Known:
    """y = BAx + noise of variance 1, x of variance 1, true map of `rank` with singular values 1: K = ½ ‖BA − B₀A₀‖².

    Parameters are A (hidden × inputs) and B (outputs × hidden), one after the other. w* has the least norm of all true
    parameters: A₀ and B₀ have rank `rank` themselves. Raises InputError where the true map has no such rank."""
    largest = min(inputs, hidden, outputs)
    if not 0 <= rank <= largest:
        problem = Problem(f"rank={rank}", f"a rank from 0 to {largest}", "a map is no larger than what it goes through")
        raise InputError(f"reduced_rank_regression({inputs}, {hidden}, {outputs}, {rank})", problem)
    A, B = torch.zeros(hidden, inputs, dtype=torch.float64), torch.zeros(outputs, hidden, dtype=torch.float64)
    A[range(rank), range(rank)] = 1.0
    B[range(rank), range(rank)] = 1.0
    truth = B @ A

    def loss(parameters: Float[Tensor, " parameter"]) -> Float[Tensor, ""]:
        first, second = parameters.split([A.numel(), B.numel()])
        return (second.view_as(B) @ first.view_as(A) - truth).square().sum() / 2

    coefficient = reduced_rank_coefficient(inputs, hidden, outputs, rank)
    name = f"reduced rank regression ({inputs}, {hidden}, {outputs}, {rank})"
    return Known(name, Landscape(loss, torch.cat([A.flatten(), B.flatten()])), coefficient)


def reduced_rank_coefficient(inputs: int, hidden: int, outputs: int, rank: int) -> float:
    """Aoyagi and Watanabe 2005, Main Theorem; M, H, N, r are theirs."""
    M, H, N, r = inputs, hidden, outputs, rank
    if N + r > M + H:
        return (H * M - H * r + N * r) / 2
    if M + r > N + H:
        return (H * N - H * r + M * r) / 2
    if H + r > M + N:
        return M * N / 2
    odd = (M + H + N + r) % 2
    return (2 * (H + r) * (M + N) - (M - N) ** 2 - (H + r) ** 2 + odd) / 8


def regular(parameters: int) -> Known:
    """K = ½ Σ hᵢ wᵢ² with curvatures from 1 to 10: every parameter counts for one half."""
    curvatures = torch.logspace(0.0, 1.0, parameters, dtype=torch.float64)

    def loss(point: Float[Tensor, " parameter"]) -> Float[Tensor, ""]:
        return (curvatures * point.square()).sum() / 2

    origin = torch.zeros(parameters, dtype=torch.float64)
    return Known(f"regular ({parameters})", Landscape(loss, origin), parameters / 2)


def even_power(half: int) -> Known:
    """K = w^(2k): λ = 1 / (2k), k being `half`."""

    def loss(point: Float[Tensor, " parameter"]) -> Float[Tensor, ""]:
        return point.pow(2 * half).sum()

    return Known(f"w^{2 * half}", Landscape(loss, torch.zeros(1, dtype=torch.float64)), 1 / (2 * half))
