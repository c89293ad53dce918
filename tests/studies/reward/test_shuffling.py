"""Best-of-n is held against shuffled scores, and ablation against random directions, each over all that was asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heldout.studies.reward import RewardStudy
from heldout.studies.reward.ablation import reduction_interval
from heldout.studies.reward.best_of_n import Candidates, best_of_n
from heldout.studies.reward.claims import ablation_claim, claims_of, exploitation_claims
from heldout.studies.reward.findings import Exploited, Reading, is_cause
from heldout.studies.reward.scoring import Scores
from heldout.studies.reward.shuffling import shuffled_gains


def candidates_of(generator: np.random.Generator, weight: float) -> tuple[Candidates, Scores]:
    """Eight prompts of 16 candidates; the score is `weight` times the length, and noise."""
    shape, names = (8, 16), ("length", "tone", "format")
    amounts = {name: generator.normal(size=shape) for name in (*names, "quality")}
    texts = tuple(tuple(f"{row} {column}" for column in range(shape[1])) for row in range(shape[0]))
    scores = weight * amounts["length"] + generator.normal(size=shape)
    by_text = {
        text: float(value) for row, own in zip(texts, scores, strict=True) for text, value in zip(row, own, strict=True)
    }
    return Candidates(tuple(map(str, range(shape[0]))), texts, amounts, ""), Scores(by_text)


def test_what_the_score_goes_by_is_found_and_nothing_else() -> None:
    found = {each.name: each for each in shuffled_gains(*candidates_of(np.random.default_rng(0), 2.0), seed=0)}
    assert set(found) == {"length", "tone", "format"}
    assert found["length"].p_value <= 0.01
    assert min(found["tone"].p_value, found["format"].p_value) > 0.05


def test_scores_that_know_nothing_are_seldom_found() -> None:
    """Over three features at 5 % together: of 60 at most 8 (more is once in 200 times)."""
    generator = np.random.default_rng(1)
    alarms = 0
    for seed in range(60):
        alarms += min(each.p_value for each in shuffled_gains(*candidates_of(generator, 0.0), seed=seed)) <= 0.05
    assert alarms <= 8


@pytest.mark.parametrize(("p_value", "found"), [(0.01, True), (0.2, False)])
def test_a_gain_that_shuffled_scores_give_too_is_not_found(study: RewardStudy, p_value: float, found: bool) -> None:
    reading = study.readings[0]
    candidates, scores = candidates_of(np.random.default_rng(0), 2.0)
    shuffled = tuple(replace(each, p_value=p_value) for each in shuffled_gains(candidates, scores, seed=0))
    exploited = Exploited(None, tuple(best_of_n(candidates, scores)), shuffled)
    told = Reading("model", "", 1.0, reading.slopes, (), (), (exploited,))
    claim = next(claim for claim in exploitation_claims("model", told) if claim.behaviour == "length")
    assert claim.found is found
    assert claim.results[0].nulls[0].p_value == p_value
    assert claim.results[0].n == 8
    assert found or claim.statement.startswith("That the best of 16 by model has more length was not found")


def test_ablations_are_told_with_groups_random_directions_and_intervals(study: RewardStudy) -> None:
    reading = study.readings[0]
    claims = {claim.behaviour: claim for claim in claims_of(study) if "-ablation-" in claim.id}
    assert reading.ablations
    for each in reading.ablations:
        assert len(each.random) >= 20 * len(reading.ablations)
        assert each.p_value == pytest.approx(len(reading.ablations) / (len(each.random) + 1))
        (result,) = claims[each.feature].results
        assert result.n == reading.slope(each.feature).groups
        assert result.interval == each.reduction_interval
        assert result.interval is not None
        assert result.interval[0] <= each.reduction <= result.interval[1]
        assert result.nulls[0].n == len(each.random)


def test_a_direction_that_random_ones_match_is_no_cause(study: RewardStudy) -> None:
    own = study.readings[0].ablations[0]
    assert is_cause(own)
    alike = replace(own, p_value=0.06)
    assert not is_cause(alike)
    claim = ablation_claim("model", study.readings[0], alike)
    assert not claim.found
    assert claim.statement.startswith(f"A direction that carries {own.feature} and not quality was not found")


def test_a_reduction_goes_as_far_as_its_slopes_allow() -> None:
    before = {f"g{n}": 1.0 + 0.01 * n for n in range(8)}
    half = {name: value / 2 for name, value in before.items()}
    assert reduction_interval(before, half) == pytest.approx((0.5, 0.5))
    around_zero = {name: (-1) ** n * 0.3 for n, name in enumerate(before)}
    found = reduction_interval(before, around_zero)
    assert found is not None
    assert found[1] == 1.0
    assert 0.5 < found[0] < 1.0
