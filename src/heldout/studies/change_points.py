"""Where curves change their course: straight pieces by exact dynamic programming, their number by BIC.

All channels (curves) change together. In each piece each channel is a straight line of its own, with one noise variance
throughout. The best division into m pieces, for every m, is found exactly (Bellman; Auger and Lawrence 1989); m has the
least Bayesian information criterion

    BIC(m) = N log(RSS(m) / (N − k)) + k log N,    k = 2 C m + 2 (m − 1),    N = channels C × points:

two coefficients for each piece and channel (one where pieces are levels, without a slope), and two degrees of freedom for
each change, as a place that is searched for fits noise better than a coefficient does (Hall, Osborn and Sakata 2013). The
textbook's form, with RSS / N and one degree, finds changes in one of eight curves of pure noise at 40 points, this one in
one of 200. Curves are scaled to unit variance, so that each counts as much as any other.

How well each change is placed, `change_intervals` says: every division into that many pieces weighs exp(−RSS / 2σ²), with
σ² of the best one, and the weights of all of them are summed exactly (Fearnhead 2006 has the recursions).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np
from numpy.typing import NDArray

from heldout.errors import Problems

Array = NDArray[np.float64]
SMALLEST_VARIANCE = 1e-12
"""In units of the curves' variance: perfect fits are not infinitely good."""


@final
@dataclass(frozen=True)
class Division:
    """`starts` are the first points of the pieces, from 0 on; `criterion` is BIC by the number of pieces, from 1 on."""

    starts: tuple[int, ...]
    criterion: tuple[float, ...]

    @property
    def changes(self) -> tuple[int, ...]:
        return self.starts[1:]


def divide(places: Array, curves: Array, *, shortest: int = 3, most: int = 8, levels: bool = False) -> Division:
    """The pieces of `curves` [point, channel] over rising `places` [point]: at most `most`, each of `shortest` points or
    more. `levels`: pieces are constant, for curves that jump from one plateau to another. Raises InputError for
    fewer than `shortest` points, places that do not rise, and values that are not finite."""
    _check(places, curves, shortest)
    errors = _errors(places, _scaled(curves), levels)
    n, channels = curves.shape
    coefficients = channels * (1 if levels else 2)
    most = min(most, n // shortest)
    totals, begins = _best_divisions(errors, shortest, most)
    criterion = [_criterion(float(totals[m - 1, n]), n * channels, _free(coefficients, m)) for m in range(1, most + 1)]
    pieces = int(np.argmin(criterion)) + 1
    return Division(_traced_back(begins, pieces, n), tuple(criterion))


def change_intervals(
    places: Array, curves: Array, division: Division, *, shortest: int = 3, levels: bool = False, level: float = 0.95
) -> tuple[tuple[int, int], ...]:
    """For each change of a division of these curves, the first and the last point at which it may be: the shortest run
    of points around the most likely one that holds `level` of the weight. Noise counts as independent between points and
    channels; where neighbours go together the truth is wider."""
    _check(places, curves, shortest)
    if not division.changes:
        return ()
    errors, (n, channels), pieces = _errors(places, _scaled(curves), levels), curves.shape, len(division.starts)
    left = n * channels - _free(channels * (1 if levels else 2), pieces)
    variance = max(sum(float(errors[edge]) for edge in pairwise([*division.starts, n])) / left, SMALLEST_VARIANCE)
    weights = np.where(_long_enough(n, shortest), -errors / (2 * variance), -np.inf)
    return tuple(_shortest_run(weight, level) for weight in _change_weights(weights, pieces))


def _long_enough(n: int, shortest: int) -> NDArray[np.bool_]:
    """[start, end]: whether a piece from one to the other has `shortest` points."""
    points = np.arange(n + 1)
    return points[None, :] - points[:, None] >= shortest


def _change_weights(weights: Array, pieces: int) -> Array:
    """[change, point]: the share of all divisions, by weight, whose change is at the point. `weights` [start, end] are
    logarithms."""
    ahead, behind = [weights[0]], [weights[:, -1]]
    for _ in range(pieces - 2):
        ahead.append(np.logaddexp.reduce(ahead[-1][:, None] + weights, axis=0))
        behind.append(np.logaddexp.reduce(weights + behind[-1][None, :], axis=1))
    joint = np.array(ahead) + np.array(behind[::-1])
    shares = np.exp(joint - joint.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def _shortest_run(weight: Array, level: float) -> tuple[int, int]:
    low = high = int(weight.argmax())
    while weight[low : high + 1].sum() < level:
        before = weight[low - 1] if low > 0 else -1.0
        after = weight[high + 1] if high + 1 < len(weight) else -1.0
        low, high = (low - 1, high) if before >= after else (low, high + 1)
    return low, high


def _free(coefficients: int, pieces: int) -> int:
    """Degrees of freedom of so many pieces, each with its coefficients, and of the places between them."""
    return coefficients * pieces + 2 * (pieces - 1)


def _criterion(error: float, size: int, free: int) -> float:
    """BIC of an error over `size` values with `free` degrees of freedom, infinite where none is left."""
    if free >= size:
        return math.inf
    return size * math.log(max(error / (size - free), SMALLEST_VARIANCE)) + free * math.log(size)


def _scaled(curves: Array) -> Array:
    """Each channel with mean 0 and variance 1; one that is constant stays at 0."""
    centred = curves - curves.mean(axis=0)
    spread = centred.std(axis=0)
    return centred / np.where(spread > 0, spread, 1.0)


def _errors(places: Array, curves: Array, levels: bool) -> Array:
    """errors[i, j]: the squared error, summed over channels, of one line, or one level, through the points i … j − 1."""
    x, n = (places - places.mean()) / (places.std() or 1.0), len(places)
    sums = [np.vstack([np.zeros((1, part.shape[1])), part.cumsum(axis=0)]) for part in _moments(x, curves)]
    errors = np.zeros((n + 1, n + 1))
    for start in range(n):
        count = np.arange(1, n - start + 1)[:, None]
        sx, sxx, sy, sxy, syy = (part[start + 1 :] - part[start] for part in sums)
        across, along = sxx - sx**2 / count, sxy - sx * sy / count
        slope_part = np.divide(along**2, across, out=np.zeros_like(along), where=across > 1e-12)
        explained = sy**2 / count + (0.0 if levels else slope_part)
        errors[start, start + 1 :] = np.maximum(syy - explained, 0.0).sum(axis=1)
    return errors


def _moments(x: Array, curves: Array) -> tuple[Array, ...]:
    column = x[:, None]
    return column, column**2, curves, column * curves, curves**2


def _best_divisions(errors: Array, shortest: int, most: int) -> tuple[Array, NDArray[np.int64]]:
    """totals[m − 1, j]: the least error of m pieces over the first j points; begins: where the last of them starts."""
    n = len(errors) - 1
    totals = np.full((most, n + 1), np.inf)
    begins = np.zeros((most, n + 1), dtype=np.int64)
    totals[0, shortest:] = errors[0, shortest:]
    for m in range(1, most):
        for end in range((m + 1) * shortest, n + 1):
            starts = np.arange(m * shortest, end - shortest + 1)
            candidates = totals[m - 1, starts] + errors[starts, end]
            best = int(candidates.argmin())
            totals[m, end], begins[m, end] = candidates[best], starts[best]
    return totals, begins


def _traced_back(begins: NDArray[np.int64], pieces: int, n: int) -> tuple[int, ...]:
    starts: list[int] = []
    end = n
    for m in reversed(range(pieces)):
        end = int(begins[m, end])
        starts.append(end)
    return tuple(reversed(starts))


def _check(places: Array, curves: Array, shortest: int) -> None:
    problems = Problems(f"divide({len(places)} places, curves of shape {curves.shape})")
    if curves.ndim != 2 or len(curves) != len(places) or len(places) < shortest:
        expected = f"curves [point, channel] with a place for each of at least {shortest} points"
        problems.add(f"{len(places)} places and curves of shape {curves.shape}", expected, "give one row a place")
    elif not (np.isfinite(curves).all() and np.isfinite(places).all()):
        problems.add("values that are not finite", "finite numbers", "leave out the points that have none")
    if shortest < 2 or not (np.diff(places) > 0).all():
        problems.add("places that do not rise, or pieces of one point", "a line through 2 points or more", "sort them")
    problems.raise_if_any()
