"""Change-points: planted ones are found, none are invented, and the division is the best there is."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from heldout.errors import InputError
from heldout.studies.change_points import Division, change_intervals, divide

POINTS = 40
PLACES = np.arange(POINTS, dtype=np.float64)


def broken_lines(changes: list[int], noise: float, seed: int, channels: int = 4) -> np.ndarray:
    """Continuous curves whose slopes change at the planted points."""
    generator = np.random.default_rng(seed)
    slopes = np.empty((POINTS, channels))
    for start, end in zip([0, *changes], [*changes, POINTS], strict=True):
        slopes[start:end] = generator.choice([-1.0, 1.0], channels) * generator.uniform(0.05, 0.3, channels)
    return slopes.cumsum(axis=0) + generator.normal(0, noise, (POINTS, channels))


def steps_of(changes: list[int], noise: float, seed: int, channels: int = 2) -> np.ndarray:
    """Curves that jump at the planted points."""
    generator = np.random.default_rng(seed)
    levels = np.zeros((POINTS, channels))
    for number, start in enumerate(changes, 1):
        levels[start:] = number * np.array([1.0, -2.0])[:channels] * (-1.0) ** number
    return levels + generator.normal(0, noise, (POINTS, channels))


@pytest.mark.parametrize("changes", [[20], [8, 25], [6, 15, 30], [5, 12, 22, 31]], ids=str)
def test_planted_jumps_are_found(changes: list[int]) -> None:
    found = [list(divide(PLACES, steps_of(changes, 0.1, seed)).changes) for seed in range(20)]
    assert found.count(changes) >= 19


@pytest.mark.parametrize("changes", [[20], [10, 26]], ids=str)
def test_planted_bends_are_found(changes: list[int]) -> None:
    """Where a line merely bends its place is uncertain by a point or two."""
    right = 0
    for seed in range(20):
        found = divide(PLACES, broken_lines(changes, 0.05, seed)).changes
        right += len(found) == len(changes) and bool(np.abs(np.array(found) - changes).max() <= 2)
    assert right >= 17


@pytest.mark.parametrize("channels", [1, 4])
def test_nothing_is_found_in_one_noisy_line(channels: int) -> None:
    found = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        lines = np.outer(PLACES, generator.normal(0, 1, channels))
        found += bool(divide(PLACES, lines + generator.normal(0, 1, lines.shape)).changes)
    assert found <= 3


@pytest.mark.parametrize("changes", [[5], [4, 9]], ids=str)
def test_levels_find_jumps_at_few_points(changes: list[int]) -> None:
    """Between plateaus, at as many points as training has checkpoints."""
    n, right = 14, 0
    for seed in range(50):
        generator = np.random.default_rng(seed)
        curves = np.zeros((n, len(changes)))
        for number, start in enumerate(changes):
            curves[start:, number] = 1.0
        division = divide(np.arange(n, dtype=np.float64), curves + generator.normal(0, 0.03, curves.shape), levels=True)
        right += list(division.changes) == changes
    assert right >= 45


def test_levels_find_nothing_in_noise() -> None:
    found = 0
    for seed in range(200):
        noise = np.random.default_rng(seed).normal(0, 1, (14, 4))
        found += bool(divide(np.arange(14, dtype=np.float64), noise, levels=True).changes)
    assert found / 200 <= 0.05


@pytest.mark.parametrize("levels", [False, True])
def test_a_criterion_is_that_of_its_fit(levels: bool) -> None:
    """Of one piece: what numpy fits with a line, or with a level."""
    n = 12
    curves = np.random.default_rng(1).normal(0, 1, (n, 2)).cumsum(axis=0)
    scaled = (curves - curves.mean(axis=0)) / curves.std(axis=0)
    degree = 0 if levels else 1
    error = float(np.polyfit(np.arange(n), scaled, degree, full=True)[1].sum())
    free, size = 2 * (degree + 1), 2 * n
    expected = size * np.log(error / (size - free)) + free * np.log(size)
    found = divide(np.arange(n, dtype=np.float64), curves, levels=levels, most=1).criterion[0]
    assert found == pytest.approx(expected)


def test_places_may_be_unevenly_spaced() -> None:
    places = np.linspace(0, 10, POINTS) ** 2
    generator = np.random.default_rng(0)
    curve = np.where(places < 30, 2 * places, 60 - 3 * (places - 30)) + generator.normal(0, 0.5, POINTS)
    first = int(np.searchsorted(places, 30))
    assert divide(places, curve[:, None]).changes == pytest.approx([first], abs=1)


def test_the_division_is_the_best_of_all() -> None:
    """Against every division into three pieces, each fitted by numpy."""
    n, shortest = 12, 3
    curves = np.random.default_rng(5).normal(0, 1, (n, 2)).cumsum(axis=0)
    scaled = (curves - curves.mean(axis=0)) / curves.std(axis=0)

    def error(edges: tuple[int, ...]) -> float:
        parts = [(a, b) for a, b in pairwise(edges)]
        if min(b - a for a, b in parts) < shortest:
            return np.inf
        fits = [np.polyfit(np.arange(a, b), scaled[a:b], 1, full=True)[1].sum() for a, b in parts]
        return float(sum(fits))

    best = min(error((0, *inner, n)) for inner in combinations(range(1, n), 2))
    criterion = divide(np.arange(n, dtype=np.float64), curves, shortest=shortest, most=3).criterion[2]
    size, free = n * 2, 2 * 2 * 3 + 2 * 2
    assert criterion == pytest.approx(size * np.log(best / (size - free)) + free * np.log(size))


def test_pieces_are_never_shorter_than_asked() -> None:
    curves = np.random.default_rng(0).normal(0, 1, (POINTS, 1)).cumsum(axis=0)
    for shortest in (2, 5, 11):
        edges = [*divide(PLACES, curves, shortest=shortest, most=20).starts, POINTS]
        assert min(np.diff(edges)) >= shortest


def test_a_curve_that_does_not_move_has_one_piece() -> None:
    assert divide(PLACES, np.ones((POINTS, 3))).starts == (0,)


@pytest.mark.parametrize("noise", [0.2, 0.5])
def test_intervals_hold_planted_changes_as_often_as_they_say(noise: float) -> None:
    """Of divisions into the right number of pieces; with more noise intervals are wider."""
    held, widths = [], []
    for seed in range(200):
        curves = steps_of([12, 27], noise, seed)
        division = divide(PLACES, curves)
        if len(division.changes) == 2:
            found = change_intervals(PLACES, curves, division)
            held += [low <= place <= high for (low, high), place in zip(found, (12, 27), strict=True)]
            widths += [high - low for low, high in found]
    assert len(held) >= 40
    assert np.mean(held) >= 0.9
    assert (np.mean(widths) > 0.05) == (noise == 0.5)


def test_intervals_are_of_all_divisions() -> None:
    """The weight of every division into three pieces, written down one by one."""
    n, shortest = 12, 3
    curves = np.random.default_rng(3).normal(0, 1, (n, 2))
    curves[4:8] += 2.5
    division = Division((0, 4, 8), ())
    scaled = (curves - curves.mean(axis=0)) / curves.std(axis=0)

    def error(a: int, b: int) -> float:
        fit = np.polynomial.polynomial.polyfit(np.arange(a, b), scaled[a:b], 1)
        return float(((scaled[a:b] - np.polynomial.polynomial.polyval(np.arange(a, b), fit).T) ** 2).sum())

    def total(first: int, second: int) -> float:
        return error(0, first) + error(first, second) + error(second, n)

    variance = total(4, 8) / (2 * n - 2 * 2 * 3 - 2 * 2)
    weights = np.zeros((2, n))
    for first, second in combinations(range(shortest, n - shortest + 1), 2):
        if second - first >= shortest:
            weight = np.exp(-total(first, second) / (2 * variance))
            weights[0, first] += weight
            weights[1, second] += weight
    weights /= weights.sum(axis=1, keepdims=True)
    for level in (0.3, 0.6, 0.9, 0.99):
        for weight, (low, high) in zip(
            weights, change_intervals(np.arange(n, dtype=np.float64), curves, division, level=level), strict=True
        ):
            assert weight[low : high + 1].sum() >= level
            assert low <= weight.argmax() <= high
            assert low == high or max(weight[low + 1 : high + 1].sum(), weight[low:high].sum()) < level


def test_one_piece_has_no_changes_to_place() -> None:
    assert change_intervals(PLACES, np.ones((POINTS, 1)), Division((0,), ())) == ()


@pytest.mark.parametrize(
    ("places", "curves", "found"),
    [
        (np.arange(3), np.zeros((4, 1)), "3 places and curves of shape (4, 1)"),
        (np.arange(2), np.zeros((2, 1)), "2 places and curves of shape (2, 1)"),
        (np.array([0.0, 2.0, 1.0]), np.zeros((3, 1)), "places that do not rise"),
        (np.arange(3), np.full((3, 1), np.nan), "values that are not finite"),
    ],
)
def test_unusable_curves_are_refused(places: np.ndarray, curves: np.ndarray, found: str) -> None:
    with pytest.raises(InputError) as raised:
        divide(places, curves)
    assert found in str(raised.value)
