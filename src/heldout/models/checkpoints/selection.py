"""Which checkpoints to look at: few, and close together where a model changes fast."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import expm1, log1p

from heldout.errors import InputError, Problem


def log_spaced_steps(total: int, n: int) -> list[int]:
    """`n` rising steps from 0 to `total` at equal distances of log(1 + step), rounded; the early ones, which rounding
    would make equal, follow each other. All steps where there are no more than `n`.

    >>> log_spaced_steps(1000, 7)
    [0, 2, 9, 31, 99, 315, 1000]
    """
    check_number(f"log_spaced_steps({total}, {n})", n, total + 1)
    n = min(n, total + 1)
    steps: list[int] = []
    for i in range(n):
        nearest = round(expm1(log1p(total) * i / max(n - 1, 1)))
        steps.append(max(nearest, steps[-1] + 1) if steps else nearest)
    return [min(step, total - (n - 1 - i)) for i, step in enumerate(steps)]


def log_spaced_indices(steps: Sequence[int], n: int) -> list[int]:
    """Indices of `n` of the rising `steps`, always the first and the last; all where there are no more than `n`.

    The rule: targets lie at equal distances of log(1 + step) between the first step and the last; each in turn takes
    the nearest step behind those taken (the earlier of two) that leaves one for each target that follows."""
    check_number(f"log_spaced({n})", n, len(steps))
    if n >= len(steps):
        return list(range(len(steps)))
    places = [log1p(step) for step in steps]
    distance = (places[-1] - places[0]) / (n - 1)
    taken: list[int] = []
    for i in range(n):
        low, high = (taken[-1] + 1 if taken else 0), len(steps) - (n - i)
        taken.append(nearest_index(places, places[0] + i * distance, low, high) if i < n - 1 else len(steps) - 1)
    return taken


def nearest_index(places: Sequence[float], target: float, low: int, high: int) -> int:
    """The index of the rising places between `low` and `high`, both included, that is nearest to `target`."""
    after = min(max(bisect_left(places, target, low, high + 1), low), high)
    before = max(after - 1, low)
    return before if target - places[before] <= places[after] - target else after


def check_number(called: str, n: int, there: int) -> None:
    if there < 1 or n < min(2, there):
        problem = Problem(
            f"{n} of {there} steps", "2 or more, as the first and the last are always among them", "ask for more"
        )
        raise InputError(called, problem)
