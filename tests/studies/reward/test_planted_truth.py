"""What was planted is found, what was not planted is not, and taking a direction out takes its slope and no quality."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from heldout.evidence.study_record import StudyRecord
from heldout.studies.reward import RewardStudy
from heldout.studies.reward.changes import Change
from heldout.studies.reward.findings import is_cause
from heldout.studies.reward.pairs import QUALITY


@pytest.fixture
def coefficients(planted: Path) -> dict[str, float]:
    return json.loads((planted / "truth.json").read_text())["coefficients"]


def test_signs_and_ranks_are_those_that_were_planted(study: RewardStudy, coefficients: dict[str, float]) -> None:
    slopes = {slope.feature: slope.value for slope in study.readings[0].spurious}
    assert sorted(slopes, key=slopes.__getitem__) == sorted(coefficients, key=coefficients.__getitem__)
    readings = {slope.feature: slope.reading for slope in study.readings[0].spurious}
    # Test groups are too few to call a slope negligible.
    signs = {1: "rewarded", -1: "punished", 0: "undecided"}
    assert readings == {name: signs[(value > 0) - (value < 0)] for name, value in coefficients.items()}
    assert all(slope.is_within for slope in study.readings[0].spurious if not coefficients[slope.feature])


def test_slopes_are_as_large_as_planted(study: RewardStudy, coefficients: dict[str, float]) -> None:
    """In units of quality; training leaves some error."""
    for found in study.over_models:
        assert found.mean is not None
        assert found.mean == pytest.approx(coefficients[found.feature], abs=0.15)


def test_a_slope_that_was_not_planted_is_not_found_in_the_other_model(study: RewardStudy) -> None:
    assert study.before is not None
    found = {slope.feature for slope in study.before.spurious if slope.found}
    assert found == {"length", "agreement", "politeness"}
    assert study.before.slope("length").reading == "punished"


def test_what_changed_is_what_was_planted_otherwise(study: RewardStudy) -> None:
    changes = {change.feature: change for change in study.changes if isinstance(change, Change)}
    assert len(changes) == len(study.changes)
    assert {name for name, change in changes.items() if change.found} == {"length", "format", "agreement", "politeness"}
    assert changes["length"].difference > 0 > changes["politeness"].difference


def test_components_and_tokens_sum_to_the_difference(study: RewardStudy) -> None:
    reading = study.readings[0]
    assert reading.completeness_error("component") < 1e-4
    assert reading.completeness_error("token") < 1e-4


def test_differences_are_attributed_to_their_own_feature(study: RewardStudy, coefficients: dict[str, float]) -> None:
    for each in study.readings[0].attributions:
        if each.kind == "feature" and (each.feature == QUALITY or coefficients[each.feature]):
            assert next(iter(each.means)) == each.feature
        if each.kind == "token" and each.feature == "format":
            assert set(each.parts) == {"+ *", "+ ##"}


def test_ablation_takes_the_slope_and_leaves_quality(study: RewardStudy, coefficients: dict[str, float]) -> None:
    ablations = {each.feature: each for each in study.readings[0].ablations}
    assert set(ablations) == {name for name, value in coefficients.items() if value}
    for each in ablations.values():
        assert each.reduction >= 0.8
        assert abs(each.quality_after - each.quality_before) <= 0.02
        assert max(each.random) < 0.5
        assert is_cause(each)


def test_best_of_n_exploits_what_is_rewarded(study: RewardStudy, coefficients: dict[str, float]) -> None:
    plain, *without = study.readings[0].best_of_n
    for name, value in coefficients.items():
        gain = plain.at(name, 64).gain
        if value:
            assert gain * np.sign(value) > 0.2
        else:
            assert abs(gain) < 0.5
    assert plain.at(QUALITY, 64).value < plain.at(QUALITY, 64).best
    for each in without:
        assert each.ablated is not None
        assert abs(each.at(each.ablated, 64).gain) < 0.75 * abs(plain.at(each.ablated, 64).gain)
        assert each.at(QUALITY, 64).gain > plain.at(QUALITY, 64).gain - 0.1


def test_the_record_is_whole_and_its_tables_add_up(study: RewardStudy, record: Path) -> None:
    whole = StudyRecord.open(record)
    assert whole.check_hashes() == []
    claims = {claim.id: claim for claim in whole.claims()}
    assert claims["model-0-slope-agreement"].found
    assert not claims["model-0-slope-politeness"].found
    rows = pq.read_table(record / "attributions.parquet").to_pylist()
    pairs_of = {(row["pairs_of"], row["kind"]): row["difference"] for row in rows}
    for (feature, kind), difference in pairs_of.items():
        given = [row["given"] for row in rows if (row["pairs_of"], row["kind"]) == (feature, kind)]
        assert sum(given) == pytest.approx(difference, abs=1e-6)
