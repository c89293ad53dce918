"""Does a curve jump, or does it change gradually? A change within few checkpoints, against drifts and wider changes.

Neighbouring checkpoints go together, and a criterion that takes noise for independent divides ramps and drifting noise into
levels. Of the null that keeps most of that, a random walk with drift, the steps are independent and of one spread, whatever
its drift; noise with less memory strays less far. So the steps of a curve are regressed on one mean, and one more within a
window: the share of their variance that it explains is Beta distributed under that null (the F-test), with Bonferroni's
correction over all narrow windows and all curves. A gradual change is a wide window, with as many parameters: where one
of these around the same place explains more, the curve does not jump there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from heldout.studies.change_points import Array


def jump_p_values(curves: Array, changes: Sequence[int], widest: int) -> list[float]:
    """For each change, the first point behind it, of curves [point, channel]: that no curve jumps there, within `widest`
    steps or fewer. 1 with fewer than three steps, which leave no variance to test against."""
    steps = np.diff(curves, axis=0)
    n = len(steps)
    if n < 3:
        return [1.0] * len(changes)
    windows = np.array([(start, start + width) for width in range(1, n) for start in range(n - width + 1)])
    narrow = windows[:, 1] - windows[:, 0] <= widest
    explained = np.array([_explained(steps, start, end) for start, end in windows])
    p_values = stats.beta.sf(explained, 0.5, (n - 2) / 2) * int(narrow.sum()) * steps.shape[1]
    found: list[float] = []
    for change in changes:
        around = np.flatnonzero((windows[:, 0] < change) & (change <= windows[:, 1]))
        best = around[explained[around].argmax(axis=0)]
        jumps = np.where(narrow[best], p_values[best, np.arange(steps.shape[1])], 1.0)
        found.append(min(1.0, float(jumps.min())))
    return found


def _explained(steps: Array, start: int, end: int) -> Array:
    """By channel; 0 of one whose steps are all the same."""
    inside = np.zeros(len(steps))
    inside[start:end] = 1.0
    inside -= inside.mean()
    centred = steps - steps.mean(axis=0)
    whole = (centred**2).sum(axis=0) * (inside**2).sum()
    return np.divide((inside @ centred) ** 2, whole, out=np.zeros(steps.shape[1]), where=whole > 1e-12).clip(0.0, 1.0)
