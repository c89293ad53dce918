"""What a reward model rewards; docs/reward.md explains."""

from heldout.studies.reward.findings import Reading, RewardStudy
from heldout.studies.reward.pairs import Pair, PairSet
from heldout.studies.reward.planted import PlantedReward, build_planted
from heldout.studies.reward.study import reward

__all__ = ["Pair", "PairSet", "PlantedReward", "Reading", "RewardStudy", "build_planted", "reward"]
