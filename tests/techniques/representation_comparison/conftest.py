"""Sides whose relation is known, drawn with a seed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from heldout.techniques.representation_comparison import Measure, PrincipalComponents

Array = NDArray[np.float64]
Sides = tuple[Array, Array]


def independent(seed: int, n: int, d: int) -> Sides:
    x, y = np.random.default_rng(seed).normal(size=(2, n, d))
    return x, y


def with_outliers(seed: int, count: int, n: int = 500, d: int = 64) -> Sides:
    """Unrelated but for `count` items that are far out in the same direction on both sides."""
    x, y = independent(seed, n, d)
    for side in (x, y):
        side[:count] = 0.0
        side[:count, 0] = 1000.0
    return x, y


def with_shared_dimension(seed: int, n: int = 500, d: int = 64) -> Sides:
    """Unrelated but for one of the dimensions, which is the same on both sides and a hundred times as large."""
    x, y = independent(seed, n, d)
    x[:, 0] = y[:, 0] = 100 * np.random.default_rng(seed + 1000).normal(size=n)
    return x, y


def related(seed: int, n: int = 120, d: int = 8, noise: float = 1.0) -> Sides:
    """The second side is a linear map of the first, and noise."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, d)) * np.linspace(3, 0.5, d)
    return x, x @ generator.normal(size=(d, d)) + noise * generator.normal(size=(n, d))


def rotation(seed: int, d: int) -> Array:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def value(measure: Measure, x: Array, y: Array) -> float:
    one, other = PrincipalComponents.of(x), PrincipalComponents.of(y)
    return measure.value(measure.side(one), measure.side(other))


@pytest.fixture(scope="session")
def sides() -> SimpleNamespace:
    return SimpleNamespace(
        independent=independent,
        with_outliers=with_outliers,
        with_shared_dimension=with_shared_dimension,
        related=related,
        rotation=rotation,
    )


@pytest.fixture(scope="session")
def value_of() -> Callable[[Measure, Array, Array], float]:
    return value
