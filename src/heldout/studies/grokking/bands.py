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
    """A mean over seeds at a step; `interval` is Student's, None for a single seed."""

    step: int
    mean: float
    interval: tuple[float, float] | None


def band(steps: Sequence[int], values: Sequence[Sequence[float]], *, logarithmic: bool) -> list[BandPoint]:
    """Of `values` [seed][step]; logarithmic: the geometric mean, whose interval is that of the logarithms.

    >>> band([0, 10], [[1.0, 10.0], [100.0, 10.0]], logarithmic=True)[0].mean
    10.0
    """
    columns = np.array(values, dtype=np.float64).T
    return [
        BandPoint(step, *mean_with_interval(column, logarithmic)) for step, column in zip(steps, columns, strict=True)
    ]


def mean_with_interval(values: Sequence[float], logarithmic: bool) -> tuple[float, tuple[float, float] | None]:
    numbers = np.array(values, dtype=np.float64)
    if not logarithmic:
        return float(numbers.mean()), mean_interval(numbers)
    logarithms = np.log10(numbers)
    interval = mean_interval(logarithms)
    return float(10 ** logarithms.mean()), interval and (10 ** interval[0], 10 ** interval[1])
