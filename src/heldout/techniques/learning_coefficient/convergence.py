"""Whether chains have mixed, and how uncertain their mean is (Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021).

All functions take numbers by draw and chain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.fft import irfft, next_fast_len, rfft

Series = NDArray[np.float64]


def split_r_hat(series: Series) -> float:
    """Rank-normalised split-R̂, the larger of that of the values and that of their distances from the median: 1 where the
    halves of all chains are alike in place and in spread. Infinite where a chain does not move or is not finite."""
    if not np.isfinite(series).all() or (np.ptp(series, axis=0) == 0).any():
        return float("inf")
    folded = np.abs(series - np.median(series))
    return max(_r_hat(_halves(_normal_scores(each))) for each in (series, folded))


def effective_draws(series: Series) -> float:
    """How many independent draws would know the mean as well: Geyer's initial monotone sequence over split chains."""
    halves = _halves(series)
    draws, chains = halves.shape
    total = float(draws * chains)
    within = halves.var(axis=0, ddof=1).mean()
    if not np.isfinite(halves).all() or within == 0.0:
        return 0.0
    pooled = _pooled_variance(halves)
    correlations = 1.0 - (within - _autocovariances(halves).mean(axis=1) * draws / (draws - 1)) / pooled
    pairs = correlations[0 : 2 * (draws // 2) : 2] + correlations[1 : 2 * (draws // 2) : 2]
    positive = pairs[: int(np.argmax(pairs < 0))] if (pairs < 0).any() else pairs
    time = -1.0 + 2.0 * float(np.minimum.accumulate(positive).sum())
    return total / max(time, 1.0 / np.log10(total))


def standard_error(series: Series) -> float:
    """Of the mean over all draws, correlations between draws and differences between chains accounted for; infinite
    where nothing moves."""
    effective = effective_draws(series)
    return float(np.sqrt(_pooled_variance(_halves(series)) / effective)) if effective > 0.0 else float("inf")


def _halves(series: Series) -> Series:
    """Each chain as two."""
    half = len(series) // 2
    return np.concatenate([series[:half], series[len(series) - half :]], axis=1)


def _normal_scores(series: Series) -> Series:
    """Normal quantiles of the ranks, ties sharing theirs (Blom 1958)."""
    ranks = stats.rankdata(series).reshape(series.shape)
    return np.asarray(stats.norm.ppf((ranks - 0.375) / (series.size + 0.25)))


def _pooled_variance(series: Series) -> float:
    draws = len(series)
    return float((draws - 1) / draws * series.var(axis=0, ddof=1).mean() + series.mean(axis=0).var(ddof=1))


def _r_hat(series: Series) -> float:
    within = float(series.var(axis=0, ddof=1).mean())
    return float(np.sqrt(_pooled_variance(series) / within)) if within > 0.0 else float("inf")


def _autocovariances(series: Series) -> Series:
    """Of each chain about its own mean, by lag."""
    draws = len(series)
    size = next_fast_len(2 * draws, real=True)
    spectrum = np.abs(np.asarray(rfft(series - series.mean(axis=0), size, axis=0))) ** 2
    return np.asarray(irfft(spectrum, size, axis=0))[:draws] / draws
