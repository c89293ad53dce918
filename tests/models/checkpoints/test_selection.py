"""Few of many: first and last always, distinct and rising, and each as near to its target as the others let it be."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from math import log1p

import pytest

from heldout.errors import InputError
from heldout.models import CheckpointSuite, Model, log_spaced_steps
from heldout.models.checkpoints.selection import log_spaced_indices, nearest_index

PYTHIA = [0, *(2**i for i in range(10)), *range(1000, 143_001, 1000)]


def by_hand(steps: list[int], n: int) -> list[int]:
    """The rule as its sentence has it, without the search."""
    first, last = log1p(steps[0]), log1p(steps[-1])
    taken: list[int] = []
    for i in range(n):
        target = first + (last - first) * i / (n - 1)
        free = range(taken[-1] + 1 if taken else 0, len(steps) - (n - 1 - i))
        taken.append(min(free, key=lambda index: (abs(log1p(steps[index]) - target), index)))
    return taken


@pytest.mark.parametrize("seed", range(20))
def test_the_selection_is_the_rule_of_the_documentation(seed: int) -> None:
    generator = random.Random(seed)
    steps = sorted(generator.sample(range(10_000), generator.randint(3, 60)))
    if seed % 2:  # nothing between the early steps and the last: the targets between them have to share the early ones
        steps = [*sorted(generator.sample(range(100), generator.randint(3, 30))), 10**6]
    for n in range(2, len(steps)):
        found = log_spaced_indices(steps, n)
        assert len(found) == n
        assert (found[0], found[-1]) == (0, len(steps) - 1)
        assert all(one < other for one, other in pairwise(found))
        assert found == by_hand(steps, n)


def test_of_two_steps_at_the_same_distance_the_earlier_is_taken() -> None:
    places = [0.0, 1.0, 2.0, 3.0]
    assert [nearest_index(places, target, 0, 3) for target in (-1.0, 0.5, 1.5, 1.75, 9.0)] == [0, 0, 1, 2, 3]
    assert [nearest_index(places, target, 1, 2) for target in (0.0, 9.0)] == [1, 2]


def test_early_checkpoints_of_a_published_suite_are_close_together() -> None:
    chosen = [PYTHIA[index] for index in log_spaced_indices(PYTHIA, 12)]
    gaps = [log1p(later) - log1p(earlier) for earlier, later in pairwise(chosen)]
    assert max(gaps) < 2 * log1p(PYTHIA[-1]) / 11


def test_all_where_there_are_no_more() -> None:
    assert log_spaced_indices([3, 5, 9], 3) == log_spaced_indices([3, 5, 9], 50) == [0, 1, 2]
    assert log_spaced_indices([3], 1) == [0]
    assert log_spaced_steps(3, 10) == [0, 1, 2, 3]


@pytest.mark.parametrize(("total", "n"), [(1, 2), (10, 11), (10, 10), (10, 3), (1000, 30), (143_000, 20), (7, 5)])
def test_steps_to_save_rise_from_nothing_to_the_end(total: int, n: int) -> None:
    steps = log_spaced_steps(total, n)
    assert (len(steps), steps[0], steps[-1]) == (n, 0, total)
    assert all(earlier < later for earlier, later in pairwise(steps))


def test_steps_to_save_lie_at_equal_distances() -> None:
    distance = log1p(10**6) / 9
    for i, step in enumerate(log_spaced_steps(10**6, 10)):
        assert log1p(step - 0.5 if step else 0) <= i * distance + 1e-9
        assert log1p(step + 0.5) >= i * distance - 1e-9


@pytest.mark.parametrize("n", [1, 0, -2])
def test_fewer_than_two_are_no_selection(n: int) -> None:
    for call in (lambda: log_spaced_steps(10, n), lambda: log_spaced_indices([1, 2, 3], n)):
        with pytest.raises(InputError) as raised:
            call()
        assert "expected: 2 or more, as the first and the last are always among them" in str(raised.value)


def test_a_suite_is_selected_by_steps(seeded: Callable[..., Model]) -> None:
    suite = CheckpointSuite.from_run({step: seeded(step) for step in (0, 1, 2, 4, 8, 16, 900, 1000)})
    assert suite.log_spaced(4).steps == tuple(suite.steps[index] for index in log_spaced_indices(suite.steps, 4))
    assert suite.select([8, 2]).steps == (2, 8)
    assert suite.at(16).step == 16
    with pytest.raises(InputError) as raised:
        suite.select([2, 5, 800])
    assert str(raised.value).splitlines() == [
        "CheckpointSuite.select([2, 5, 800])",
        "found:    no checkpoint at 5, 800",
        "expected: steps of the suite, the nearest being 4, 900",
        "next:     choose among suite.steps",
    ]
