"""How far each matrix moved, and in how many directions, beside a random change of the same size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from heldout.execution.result import Null
from heldout.seeds import numpy_generator
from heldout.statistics import permutation_p_value
from heldout.studies.diff.components import Component, components_of
from heldout.studies.diff.pairing import Pairing

TOP = 4
"""Singular directions whose share is told."""
KEPT = 64
RANDOM_MATRICES = 19

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Spectrum:
    """Of one matrix's change. Effective rank: e to the entropy of the singular values' shares (Roy and Vetterli 2007).

    `random_share`, `random_rank`: the same of Gaussian matrices of this shape; neither depends on their size."""

    parameter: str
    component: str
    shape: tuple[int, int]
    norm: float
    relative_norm: float
    singular_values: tuple[float, ...]
    effective_rank: float
    top_share: float
    random_share: Null
    random_rank: float


@final
@dataclass(frozen=True)
class ComponentDelta:
    """How far all parameters of a component moved, by the Frobenius norm, relative to how large they were."""

    component: str
    parameters: int
    norm: float
    relative_norm: float


def component_deltas(pairing: Pairing) -> tuple[ComponentDelta, ...]:
    here, there = (dict(model.module.named_parameters()) for model in (pairing.base, pairing.tuned))
    found: list[ComponentDelta] = []
    for component in components_of(pairing.base, pairing.parameters):
        moved = sum(float((there[n].double() - here[n].double()).square().sum()) for n in component.parameters) ** 0.5
        size = sum(float(here[n].double().square().sum()) for n in component.parameters) ** 0.5
        count = sum(here[n].numel() for n in component.parameters)
        found.append(ComponentDelta(component.name, count, moved, moved / size if size else 0.0))
    return tuple(found)


def spectra(pairing: Pairing, seed: int) -> tuple[Spectrum, ...]:
    """Of every matrix that moved at all."""
    here, there = (dict(model.module.named_parameters()) for model in (pairing.base, pairing.tuned))
    parts = components_of(pairing.base, pairing.parameters)
    names = [(name, part) for part in parts for name in part.parameters if here[name].ndim == 2]
    found = (_spectrum(name, part, here[name].detach(), there[name].detach(), seed) for name, part in names)
    return tuple(each for each in found if each is not None)


def _spectrum(name: str, part: Component, base: torch.Tensor, tuned: torch.Tensor, seed: int) -> Spectrum | None:
    delta = tuned.double() - base.double()
    norm = float(delta.norm())
    if norm == 0:
        return None
    values = torch.linalg.svdvals(delta).cpu().numpy()
    shape = (int(delta.shape[0]), int(delta.shape[1]))
    shares, ranks = random_spectra(shape, seed)
    share = top_share(values)
    null = Null(
        "random matrices", float(shares.mean()), float(shares.max()), len(shares), permutation_p_value(share, shares)
    )
    size = float(base.double().norm())
    kept = tuple(values[:KEPT].tolist())
    relative = norm / size if size else float("inf")
    return Spectrum(
        name, part.name, shape, norm, relative, kept, effective_rank(values), share, null, float(ranks.mean())
    )


@lru_cache(maxsize=256)
def random_spectra(shape: tuple[int, int], seed: int) -> tuple[Array, Array]:
    """Top shares and effective ranks of Gaussian matrices."""
    generator = numpy_generator(seed, "random matrices", shape)
    drawn: list[Array] = [
        np.linalg.svd(generator.normal(size=shape), compute_uv=False).astype(np.float64) for _ in range(RANDOM_MATRICES)
    ]
    return np.array([top_share(values) for values in drawn]), np.array([effective_rank(values) for values in drawn])


def effective_rank(values: Sequence[float] | Array) -> float:
    """
    >>> round(effective_rank([2.0, 2.0, 2.0]), 6), effective_rank([1.0, 0.0])
    (3.0, 1.0)
    """
    shares = np.asarray(values, dtype=np.float64)
    shares = shares[shares > 0] / shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def top_share(values: Sequence[float] | Array) -> float:
    """The share of the squared norm in the TOP largest directions."""
    squares = np.square(np.asarray(values, dtype=np.float64))
    return float(squares[:TOP].sum() / squares.sum())
