"""Two reward models with planted rewards, trained once, and what the study finds of them; and scores without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from heldout.studies.reward import Pair, PairSet, PlantedReward, RewardStudy, build_planted, reward
from heldout.studies.reward.scoring import Scores

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


ScoredPairs = Callable[..., tuple[PairSet, Scores]]


@pytest.fixture
def scored_pairs() -> ScoredPairs:
    """Twelve groups of two test pairs of each feature, of 1 to 3 units, whose slopes are known but for `noise` (of all
    features, or by name). The same `seed` makes the same texts and errors."""

    def scored_pairs(
        slopes: Mapping[str, float], noise: float | Mapping[str, float], seed: int = 0
    ) -> tuple[PairSet, Scores]:
        generator = np.random.default_rng(seed)
        pairs, scores = list[Pair](), dict[str, float]()
        for feature, slope in slopes.items():
            spread = noise.get(feature, 0.0) if isinstance(noise, Mapping) else noise
            for n in range(24):
                more, less, amount = f"{feature} {n} more", f"{feature} {n} less", float(n % 3 + 1)
                pairs.append(Pair(f"{feature}{n}", feature, more, less, amount, f"g{n // 2}", "test"))
                scores[less] = float(generator.normal())
                scores[more] = scores[less] + amount * (slope + spread * float(generator.normal()))
        return PairSet(tuple(pairs), ""), Scores(scores)

    return scored_pairs
