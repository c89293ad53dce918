"""What outputs alone say: the grader's chance, capability beyond it, and what is new beside the baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from heldout.audits import Thresholds
from heldout.audits.behave import RoleBehaviour, behave, grading_chance
from heldout.audits.elicit import Elicited, elicit
from heldout.statistics import exceeds_rate_p_value

THRESHOLDS = Thresholds()
PARITY = [[str(n) for n in range(20) if n % 2 == right % 2] for right in range(20)]


def text(*answers: object) -> Any:
    return np.array([str(answer) for answer in answers])


def test_chance_is_how_often_answers_pass_on_items_that_they_were_not_given_to(make_prompts) -> None:
    accepts = [["1", "3"], ["1"], ["2", "3"]]
    answers = text(1, 3, 3)
    # 1 → item 2 passes, item 3 does not; 3 → items 1 and 3 pass; 3 → item 1 passes, item 2 does not.
    assert grading_chance(make_prompts(accepts), answers) == pytest.approx(4 / 6)


def test_chance_is_that_of_a_plain_double_loop(make_prompts) -> None:
    generator = np.random.default_rng(0)
    accepts = [[str(n) for n in np.flatnonzero(generator.random(6) < 0.4)] for _ in range(25)]
    answers = text(*generator.integers(0, 6, 25))
    passes = [answer in other for i, answer in enumerate(answers) for j, other in enumerate(accepts) if i != j]
    assert grading_chance(make_prompts(accepts), answers) == pytest.approx(np.mean(passes))


@pytest.mark.parametrize(
    ("accepts", "answers"),
    [
        ([["1", "2", "3"]] * 60, text(*([1, 2, 3] * 20))),
        ([["7"]] * 60, text(*[7] * 60)),
        ([["7"], ["7", "8"]] * 30, text(*[7] * 60)),
    ],
    ids=["the grader passes everything", "one right answer for all", "one answer that always passes"],
)
def test_answers_that_would_pass_anywhere_show_no_capability(make_prompts, accepts: Any, answers: Any) -> None:
    behaviour = behave(make_prompts(accepts), answers, None)
    assert behaviour.rate == behaviour.chance == 1.0
    assert not behaviour.capable(THRESHOLDS)


def test_a_single_item_shows_nothing(make_prompts) -> None:
    assert grading_chance(make_prompts([["1"]]), text(1)) == 1.0


def test_right_answers_of_one_s_own_are_a_capability(make_prompts) -> None:
    behaviour = behave(make_prompts(PARITY * 3), text(*range(20), *range(20), *range(20)), None)
    assert behaviour.rate == 1.0
    assert behaviour.chance == pytest.approx(29 / 59)
    assert behaviour.capable(THRESHOLDS)


def test_passing_by_luck_is_no_capability(make_prompts) -> None:
    """Random answers pass every second parity grader: the rate is that of chance."""
    answers = text(*np.random.default_rng(1).integers(0, 20, 200))
    behaviour = behave(make_prompts(PARITY * 10), answers, None)
    assert behaviour.rate == pytest.approx(behaviour.chance, abs=0.1)
    assert behaviour.p_value > THRESHOLDS.alpha
    assert not behaviour.capable(THRESHOLDS)


def test_a_minority_of_what_chance_leaves_is_no_capability_however_significant(make_prompts) -> None:
    accepts = [[str(n)] for n in range(50)] * 10
    answers = text(*[n if place % 10 < 4 else -1 for place, n in enumerate([*range(50)] * 10)])
    behaviour = behave(make_prompts(accepts), answers, None)
    assert behaviour.p_value < 1e-6
    assert not behaviour.capable(THRESHOLDS)


def test_a_result_says_rate_chance_and_baseline(make_prompts) -> None:
    accepts = [["1"], ["2"], ["3"], ["4"]]
    behaviour = behave(make_prompts(accepts), text(1, 2, 3, 0), text(1, 0, 0, 0))
    result = behaviour.result()
    assert (result.effect, result.n, result.role) == (0.75, 4, "unverified")
    chance, baseline = result.nulls
    assert (chance.mean, chance.p_value) == (behaviour.chance, exceeds_rate_p_value(3, 4, behaviour.chance))
    assert baseline.mean == 0.25
    assert behave(make_prompts(accepts), text(1, 2, 3, 0), None).result().null("baseline") is None


def role_behaviour(make_prompts, answers: Any, baseline: Any) -> RoleBehaviour:
    return behave(make_prompts([["1", "2"]] * len(answers)), answers, baseline)


def elicited_of(behaviour: RoleBehaviour) -> Elicited:
    elicited = elicit(behaviour)
    assert elicited is not None
    return elicited


def test_what_is_new_is_accepted_and_other_than_the_baseline_says(make_prompts) -> None:
    elicited = elicited_of(role_behaviour(make_prompts, text(1, 2, 1, 9), text(1, 1, 9, 1)))
    assert elicited.new.tolist() == [False, True, True, False]
    assert (elicited.gained, elicited.lost) == (1, 1)


def test_beside_itself_a_model_has_nothing_new(make_prompts) -> None:
    elicited = elicited_of(role_behaviour(make_prompts, text(1, 2, 9), text(1, 2, 9)))
    assert not elicited.new.any()
    assert elicited.p_value == 1.0


def test_without_a_baseline_nothing_says_that_anything_is_new(make_prompts) -> None:
    assert elicit(role_behaviour(make_prompts, text(1, 2, 9), None)) is None


def test_a_gain_over_the_baseline_is_tested_on_the_same_items(make_prompts) -> None:
    gained = role_behaviour(make_prompts, text(*[1] * 20), text(*[9] * 20))
    result = elicited_of(gained).result(gained)
    assert result.nulls[0].p_value == pytest.approx(0.5**20)
    assert result.settings["gained"] == 20
