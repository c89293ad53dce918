"""Curves and dates over seeds: the mean with its 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heldout.statistics import mean_interval


@final
@dataclass(frozen=True)
class BandPoint:
    """A mean over seeds at a step or a size; `interval` is Student's, None for a single seed."""

    x: float
    mean: float
    interval: tuple[float, float] | None


def band(xs: Sequence[float], values: Sequence[Sequence[float]], *, logarithmic: bool) -> list[BandPoint]:
    """Of `values` [seed][x]; logarithmic: the geometric mean, whose interval is that of the logarithms.

    >>> band([0, 10], [[1.0, 10.0], [100.0, 10.0]], logarithmic=True)[0].mean
    10.0
    """
    columns = np.array(values, dtype=np.float64).T
    return [BandPoint(x, *mean_with_interval(column, logarithmic)) for x, column in zip(xs, columns, strict=True)]


def mean_with_interval(values: Sequence[float], logarithmic: bool) -> tuple[float, tuple[float, float] | None]:
    numbers = np.array(values, dtype=np.float64)
    if not logarithmic:
        return float(numbers.mean()), mean_interval(numbers)
    logarithms = np.log10(numbers)
    interval = mean_interval(logarithms)
    return float(10 ** logarithms.mean()), interval and (10 ** interval[0], 10 ** interval[1])
