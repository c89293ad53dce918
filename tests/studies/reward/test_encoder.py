"""A reward model that is an encoder: its score is read at the first token, and its stream is no sum."""

from __future__ import annotations

from pathlib import Path

import pytest

from heldout.evidence.study_record import StudyRecord
from heldout.studies.reward import PlantedReward, RewardStudy, build_planted, reward

PLANTED = {"length": 0.6, "format": -0.9, "agreement": 1.2, "politeness": 0.0}
Found = tuple[RewardStudy, Path]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("reward of an encoder")
    planted = build_planted(PlantedReward(seed=33, coefficients=PLANTED, family="bert"), folder / "planted")
    return reward(planted / "model", planted / "pairs", out=folder / "study"), folder / "study"


def test_what_was_planted_is_found(found: Found) -> None:
    """Test groups are too few to call a slope negligible."""
    slopes = {slope.feature: slope for slope in found[0].readings[0].spurious}
    assert {name: slope.reading for name, slope in slopes.items()} == {
        "length": "rewarded",
        "format": "punished",
        "agreement": "rewarded",
        "politeness": "undecided",
    }
    assert slopes["politeness"].is_within


def test_differences_are_those_of_tokens_and_what_is_left_out_is_said(found: Found) -> None:
    study, out = found
    assert study.readings[0].kinds == ("token", "feature")
    assert study.readings[0].completeness_error("token") < 1e-4
    (claim,) = [each for each in StudyRecord.open(out).claims() if each.id == "model-0-completeness"]
    assert claim.found
    assert claim.missing is not None
    assert claim.missing.startswith("components: ")
    assert "Not tested: components" in (out / "report.html").read_text().replace("\u00a0", " ")


def test_directions_are_taken_out_at_every_token(found: Found) -> None:
    places = {each.place for each in found[0].readings[0].ablations}
    assert len(found[0].readings[0].ablations) == 3
    assert all(place.endswith(", every token") for place in places)
