"""Slopes are told in units of quality only where quality has a slope, in one model, before and after, and over several."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from heldout.studies.reward import PairSet, Reading, RewardStudy
from heldout.studies.reward.changes import Change, UnknownChange, changes_between
from heldout.studies.reward.claims import claims_of
from heldout.studies.reward.drawing import slopes_plate
from heldout.studies.reward.over_models import over_models
from heldout.studies.reward.page import answers
from heldout.studies.reward.scoring import Scores
from heldout.studies.reward.slopes import WORTH, Slope, slopes_of

ScoredPairs = Callable[..., tuple[PairSet, Scores]]
Slopes = tuple[Slope, ...]

PLANTED = {"quality": 2.0, "length": 1.0, "tone": 0.0}
NO_QUALITY = {"quality": 0.0, "length": 1.0, "tone": 0.0}
NOISE = {"quality": 0.5, "length": 0.1, "tone": 0.1}


@pytest.fixture
def slopes(scored_pairs: ScoredPairs) -> Callable[..., Slopes]:
    def slopes(planted: Mapping[str, float], noise: Mapping[str, float] = NOISE, seed: int = 0) -> Slopes:
        return slopes_of(*scored_pairs(planted, noise, seed=seed), seed=0)

    return slopes


def study_of(*slopes: Slopes, before: Slopes | None = None) -> RewardStudy:
    readings = tuple(reading_of(f"model {place}", each) for place, each in enumerate(slopes))
    over = over_models([each[1:] for each in slopes], seed=0)
    if before is None:
        return RewardStudy(readings, "pairs", 72, over)
    changes = changes_between(before, slopes[0], seed=0)
    return RewardStudy(readings, "pairs", 72, over, reading_of("earlier", before), changes)


def reading_of(name: str, slopes: Slopes) -> Reading:
    return Reading(name, "sha256:0", 0.5, slopes, (), (), ())


def test_a_slope_is_told_with_the_error_of_its_unit(slopes: Callable[..., Slopes]) -> None:
    for _, length, tone in (slopes(PLANTED), slopes(PLANTED, {**NOISE, "quality": 0.1})):
        assert length.in_quality is not None
        low, high = length.in_quality.interval
        assert low < 0.5 < high
        assert (length.reading, tone.reading) == ("rewarded", "undecided")
        assert tone.is_within
    certain, unsure = (
        each[1].in_quality
        for each in (slopes(PLANTED, {**NOISE, "quality": 0.1}), slopes(PLANTED, {**NOISE, "quality": 2.0}))
    )
    assert certain is not None
    assert unsure is not None
    assert width(unsure.interval) > 2.0 * width(certain.interval)


def width(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


def test_without_a_slope_of_quality_every_ratio_is_unknown(slopes: Callable[..., Slopes]) -> None:
    found = slopes(NO_QUALITY)
    assert not found[0].found
    assert [slope.reading for slope in found[1:]] == ["unknown", "unknown"]
    assert not any(slope.found for slope in found[1:])
    assert all(slope.to_json()["in_quality"] is None for slope in found[1:])


def test_what_is_unknown_is_said_wherever_slopes_are_told(slopes: Callable[..., Slopes]) -> None:
    study = study_of(slopes(NO_QUALITY))
    claims = [claim for claim in claims_of(study) if "slope" in claim.id]
    assert len(claims) == 2
    for claim in claims:
        assert not claim.found
        assert "in units of quality is not known: a slope of quality was not found" in claim.statement
        assert [result.unit for result in claim.results] == ["score"]
    (answer,) = answers(study)
    assert "a slope of quality was not found" in answer
    assert "rewards" not in answer
    assert "no slope of quality was found" in str(slopes_plate(study).content)


def test_a_model_that_punishes_quality_is_said_to(slopes: Callable[..., Slopes]) -> None:
    study = study_of(slopes({"quality": -2.0, "length": 1.0, "tone": 0.0}))
    length = study.readings[0].slope("length")
    assert length.in_quality is not None
    assert length.in_quality.value == pytest.approx(0.5, abs=0.1)
    claim = next(claim for claim in claims_of(study) if claim.behaviour == "length")
    assert "a unit of quality, which is punished, gives -" in claim.statement
    assert "Quality itself is punished" in answers(study)[0]


def test_changes_of_scale_are_no_changes(slopes: Callable[..., Slopes]) -> None:
    """A model whose scores are all three times as large, so that only the unit changed."""
    before, after = slopes(PLANTED), slopes({name: 3.0 * value for name, value in PLANTED.items()}, seed=1)
    found = {change.feature: change for change in changes_between(before, after, seed=0)}
    assert not found["length"].found
    assert not found["tone"].found
    quality = found["quality"]
    assert isinstance(quality, Change)
    assert quality.found
    assert quality.before == pytest.approx(1.0)
    assert quality.after == pytest.approx(3.0, abs=0.6)


def test_changes_between_weak_units_are_seldom_found(slopes: Callable[..., Slopes]) -> None:
    """Nothing changed but the texts' errors. At 5 %, of 100 comparisons at most 12 (more is once in 500 times)."""
    noise = {"quality": 3.0, "length": 0.05}
    planted = {"quality": 2.0, "length": 2.0}
    alarms = 0
    for seed in range(100):
        before, after = (slopes(planted, noise, seed=2 * seed + place) for place in range(2))
        alarms += any(change.found for change in changes_between(before, after, seed=0))
    assert alarms <= 12


def test_changes_without_a_unit_are_unknown(slopes: Callable[..., Slopes]) -> None:
    study = study_of(slopes(PLANTED), before=slopes(NO_QUALITY))
    assert all(isinstance(change, UnknownChange) for change in study.changes)
    changes = [claim for claim in claims_of(study) if claim.id.startswith("change-")]
    assert len(changes) == 3
    for claim in changes:
        assert not claim.found
        assert "is not known: a slope of quality was not found in both" in claim.statement
    assert "Not known, as a slope of quality was not found in both: quality, length, tone." in answers(study)[-1]


def test_what_holds_over_models_has_a_null_and_a_p_value_over_features(slopes: Callable[..., Slopes]) -> None:
    study = study_of(*(slopes(PLANTED, seed=seed) for seed in range(5)))
    length, tone = study.over_models
    assert length.found
    assert not tone.found
    assert length.mean == pytest.approx(0.5, abs=0.1)
    claims = {claim.id: claim for claim in claims_of(study) if claim.id.startswith("models-")}
    (null,) = claims["models-length"].results[0].nulls
    assert null.p_value == length.p_value
    assert claims["models-tone"].statement.startswith(
        f"A slope of tone beyond {WORTH:g} units of quality was not found"
    )


def test_one_model_in_which_quality_has_no_slope_leaves_the_mean_unknown(slopes: Callable[..., Slopes]) -> None:
    study = study_of(slopes(PLANTED), slopes(NO_QUALITY), slopes(PLANTED, seed=1))
    for over in study.over_models:
        assert over.mean is None
        assert not over.found
    claims = [claim for claim in claims_of(study) if claim.id.startswith("models-")]
    assert all("not found in model 1" in claim.statement for claim in claims)


def test_over_models_four_features_are_corrected_together(slopes: Callable[..., Slopes]) -> None:
    """Three models that lie apart by so much that Student's p-value alone is between .0125 and .05."""
    planted = {"quality": 2.0, "a": 0.0, "b": 0.0, "c": 0.0, "d": 0.0}
    exact = {"quality": 0.01, **dict.fromkeys("abcd", 0.01)}
    models = [slopes({**planted, "a": 2.0 * value}, exact)[1:] for value in (0.5, 0.65, 0.8)]
    first, *_ = over_models(models, seed=0)
    assert first.interval is not None
    assert first.interval[0] > WORTH
    assert 0.05 < first.p_value < 0.2
    assert not first.found


def test_no_negative_claim_says_that_something_is_absent(slopes: Callable[..., Slopes]) -> None:
    for study in (
        study_of(slopes({"quality": 2.0, "length": 0.0}, {"quality": 0.1, "length": 3.0}), before=slopes(PLANTED)[:2]),
        study_of(slopes(NO_QUALITY)),
        study_of(slopes(PLANTED), slopes({**PLANTED, "length": -1.0})),
    ):
        for claim in claims_of(study):
            if not claim.found and claim.id.split("-")[-1] != "completeness":
                assert "not found" in claim.statement
                assert "95 %" in claim.statement or "not known" in claim.statement
