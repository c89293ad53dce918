"""Counts, permutation tests and multiplicity. Intervals are 95 % unless a level is given; p-values are never zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
PREVALENCES = (1e-2, 1e-3, 1e-4)


def proportion_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact (Clopper–Pearson) interval of a proportion; (0, 1) where there is nothing to count."""
    if n == 0:
        return (0.0, 1.0)
    interval: Any = stats.binomtest(int(successes), int(n)).proportion_ci(level, method="exact")
    return (float(interval.low), float(interval.high))


def mean_interval(values: Array, level: float = 0.95) -> tuple[float, float] | None:
    """Student's t interval of a mean; None for fewer than two values."""
    n = len(values)
    if n < 2:
        return None
    mean, error = float(values.mean()), float(values.std(ddof=1)) / n**0.5
    reach = float(stats.t.ppf((1.0 + level) / 2.0, n - 1)) * error
    return (mean - reach, mean + reach)


TIE = 1e-6
"""Values that differ by this share of the largest are ties: they come from float32, and a tie is no evidence."""


def permutation_p_value(observed: float, draws: Array) -> float:
    """(k + 1) / (n + 1), where k of n draws are at least as large as what was observed, or tie with it (Phipson and
    Smyth 2010). 1 where anything is not finite: what could not be measured is no finding."""
    if not np.isfinite(observed) or not np.isfinite(draws).all():
        return 1.0
    reach = TIE * max(abs(observed), float(np.abs(draws).max(initial=0.0)))
    return float((np.count_nonzero(draws >= observed - reach) + 1) / (len(draws) + 1))


def max_t_p_values(observed: Array, draws: Array) -> Array:
    """Family-wise p-values [family] of statistics [family] against joint permutation draws [draw, family].

    The largest statistic of each draw is the reference for every member (Westfall and Young 1993, single step).
    """
    largest = draws.max(axis=1)
    return np.array([permutation_p_value(value, largest) for value in observed])


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected over their family (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - place)))
        corrected[index] = largest
    return corrected


def paired_gain_p_value(gained: int, lost: int) -> float:
    """One-sided exact McNemar test that a change gained more items than it lost."""
    if gained + lost == 0:
        return 1.0
    return float(stats.binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue)


def exceeds_rate_p_value(successes: int, n: int, rate: float) -> float:
    """One-sided exact binomial test that the true rate is above `rate`."""
    return float(stats.binomtest(successes, n, rate, alternative="greater").pvalue) if n else 1.0


def above_chance(rate: float, chance: float) -> float:
    """A rate with chance at 0 and perfection at 1 (Cohen's kappa with a fixed chance); 0 where chance is 1."""
    return (rate - chance) / (1.0 - chance) if chance < 1.0 else 0.0


def false_alarm_bound(n: int, level: float = 0.95) -> float:
    """The largest rate compatible with 0 false alarms in n, about 3 / n at 95 %."""
    return 1.0 - (1.0 - level) ** (1.0 / n) if n else 1.0


def predictive_value(recall: float, false_alarm_rate: float, prevalence: float) -> float:
    """The share of alarms that are right, at a prevalence."""
    right, wrong = recall * prevalence, false_alarm_rate * (1.0 - prevalence)
    return right / (right + wrong) if right + wrong else 0.0


def detection_power(n: int, null_rate: float, true_rate: float, alpha: float) -> float:
    """The probability that a one-sided exact binomial test of n items at `alpha` sees a true rate above the null's."""
    if n == 0:
        return 0.0
    needed = int(stats.binom.isf(alpha, n, null_rate)) + 1
    return float(stats.binom.sf(needed - 1, n, true_rate))
