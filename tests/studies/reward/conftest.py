"""Two reward models with planted rewards, trained once, and what the study finds of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from heldout.studies.reward import PlantedReward, RewardStudy, build_planted, reward

PLANTED = {"length": 0.6, "format": -0.9, "agreement": 1.2, "politeness": 0.0}
OTHERWISE = {"length": -0.5, "format": 0.0, "agreement": 0.3, "politeness": 0.9}


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = PlantedReward(seed=31, coefficients=PLANTED)
    return build_planted(recipe, tmp_path_factory.mktemp("reward") / "planted")


@pytest.fixture(scope="session")
def planted_otherwise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = PlantedReward(seed=32, coefficients=OTHERWISE, family="gpt2")
    return build_planted(recipe, tmp_path_factory.mktemp("reward") / "planted otherwise")


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reward") / "record"


@pytest.fixture(scope="session")
def study(planted: Path, planted_otherwise: Path, record: Path) -> RewardStudy:
    return reward(planted / "model", planted / "pairs", out=record, before=planted_otherwise / "model")
