"""How often a removal replaces an answer by another acceptable one, beyond chance."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from heldout.audits.replacement import permuted_traces, replacement


def text(*answers: object) -> Any:
    return np.array([str(answer) for answer in answers])


OWN = [[str(n)] for n in range(40)]


def test_answers_that_every_grader_passes_count_nothing(make_prompts) -> None:
    prompts = make_prompts([["1", "2"]] * 30)
    found = replacement(prompts, text(*[1] * 30), text(*[2] * 30), permutations=99)
    assert (found.changed_share, found.acceptable_share) == (1.0, 1.0)
    assert found.rate == 0.0
    assert found.p_value == 1.0


def test_answers_that_pass_their_own_grader_alone_count_in_full(make_prompts) -> None:
    found = replacement(make_prompts(OWN), text(*[-1] * 40), text(*range(40)), permutations=999)
    assert found.rate == pytest.approx(1.0)
    assert found.p_value == 1 / 1000
    assert found.successes == 40


def test_only_changed_answers_count(make_prompts) -> None:
    """A quarter becomes right; the others were right before and stay, which is no effect."""
    before = text(*[-1 if n % 4 == 0 else n for n in range(40)])
    found = replacement(make_prompts(OWN), before, text(*range(40)))
    assert found.changed_share == 0.25
    assert found.rate == pytest.approx(0.25)
    assert found.p_value is None


def test_no_change_is_no_effect(make_prompts) -> None:
    found = replacement(make_prompts(OWN), text(*range(40)), text(*range(40)), permutations=99)
    assert (found.rate, found.successes, found.acceptable_share, found.p_value) == (0.0, 0, 0.0, 1.0)


def test_changes_to_answers_that_do_not_pass_count_below_nothing(make_prompts) -> None:
    found = replacement(make_prompts(OWN), text(*range(40)), text(*[(n + 1) % 40 for n in range(40)]))
    assert found.successes == 0
    assert found.rate < 0


def test_random_answers_have_an_effect_around_zero(make_prompts) -> None:
    generator = np.random.default_rng(0)
    parity = [[str(n) for n in range(20) if n % 2 == right] for right in generator.integers(0, 2, 400)]
    before, after = (text(*generator.integers(0, 20, 400)) for _ in range(2))
    found = replacement(make_prompts(parity), before, after, permutations=199)
    assert abs(found.rate) < 0.15
    assert found.p_value is not None
    assert found.p_value > 0.01


def test_the_p_value_is_the_share_of_exchanges_that_do_as_well(make_prompts) -> None:
    """Three items: of the six ways to hand out their answers, the given one and no other passes all."""
    cross = np.array([[True, False, False], [True, True, False], [False, False, True]])
    orders = list(permutations(range(3)))
    as_good = np.mean([sum(cross[row, order[row]] for row in range(3)) >= 3 for order in orders])
    assert as_good == pytest.approx(1 / 6)
    accepts = [["a", "b"], ["b"], ["c"]]
    found = replacement(make_prompts(accepts), text(*"xxx"), text(*"abc"), permutations=20_000)
    assert found.p_value == pytest.approx(as_good, abs=0.01)
    assert found.chance == pytest.approx(cross.mean())


def test_exchanges_are_one_to_one_and_repeat_with_their_seed() -> None:
    everyone, own = np.ones((9, 9), dtype=bool), np.eye(9, dtype=bool)
    assert (permuted_traces(everyone, 50, 0) == 9).all()
    fixed_points = permuted_traces(own, 4000, 0)
    assert fixed_points.mean() == pytest.approx(1.0, abs=0.1)  # of a random order, whatever its length
    assert (fixed_points == permuted_traces(own, 4000, 0)).all()
    assert (fixed_points != permuted_traces(own, 4000, 1)).any()
