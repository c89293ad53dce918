"""A slope is called negligible only by groups enough to see a rare reward, and by an interval over all features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from heldout.studies.reward import Pair, PairSet, Reading
from heldout.studies.reward.claims import slope_statement
from heldout.studies.reward.page import answer_of
from heldout.studies.reward.scoring import Scores
from heldout.studies.reward.slopes import FEWEST_FOR_NEGLIGIBLE, RARE, WORTH, Slope, slopes_of


def scored(by_feature: dict[str, np.ndarray], seed: int = 0) -> tuple[Slope, ...]:
    """One pair a group, of the slope that is given for it."""
    pairs, scores = list[Pair](), dict[str, float]()
    for feature, slopes in by_feature.items():
        for place, slope in enumerate(slopes):
            more, less = f"{feature} {place} more", f"{feature} {place} less"
            pairs.append(Pair(f"{feature}{place}", feature, more, less, 1.0, f"g{place}", "test"))
            scores |= {more: float(slope), less: 0.0}
    return slopes_of(PairSet(tuple(pairs), ""), Scores(scores), seed=seed)


def rare_rewards(n_groups: int, runs: int) -> Iterator[Slope]:
    """One prompt in ten earns 3 for the feature, which is .3 in the mean."""
    generator = np.random.default_rng(n_groups)
    for seed in range(runs):
        quality = 1.0 + 0.2 * generator.normal(size=n_groups)
        yield scored({"quality": quality, "a": 3.0 * (generator.random(n_groups) < 0.1)}, seed)[1]


def test_as_many_groups_are_asked_for_as_see_a_rare_reward() -> None:
    assert (1.0 - RARE) ** FEWEST_FOR_NEGLIGIBLE <= 0.05 < (1.0 - RARE) ** (FEWEST_FOR_NEGLIGIBLE - 1)


@pytest.mark.parametrize("n_groups", [8, FEWEST_FOR_NEGLIGIBLE])
def test_a_rare_reward_is_seldom_called_negligible(n_groups: int) -> None:
    """At most once in twenty: of 100 at most 11 (more is once in 200 times). Eight groups that all lie within the margin are
    46 of 100."""
    found = list(rare_rewards(n_groups, 100))
    assert sum(slope.reading == "negligible" for slope in found) <= 11
    if n_groups == 8:
        assert 30 <= sum(slope.is_within for slope in found) <= 60


@pytest.mark.parametrize(("n_groups", "reading"), [(34, "undecided"), (35, "negligible")])
def test_the_reason_is_said(n_groups: int, reading: str) -> None:
    generator = np.random.default_rng(0)
    noise = 0.1 * generator.normal(size=(2, n_groups))
    slopes = scored({"quality": 1.0 + noise[0], "tone": noise[1]})
    read = Reading("model", "", 1.0, slopes, (), (), ())
    assert slopes[1].reading == reading
    few = "34 groups are too few to exclude a reward of rare groups (35 are needed)"
    assert (few in slope_statement(read, slopes[1])) is (reading == "undecided")
    said = (
        "in too few groups to exclude a rare reward: tone" if reading == "undecided" else f"Less than {WORTH:g}: tone"
    )
    assert said in answer_of(read)


def test_what_lies_within_alone_need_not_over_all_features() -> None:
    generator = np.random.default_rng(0)
    noise = generator.normal(size=40)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    spread = 0.09 * 40**0.5 / 2.02  # Student's interval reaches to .09
    quality = np.full(40, 1.0) + 0.001 * noise[::-1]
    alone = scored({"quality": quality, "a": spread * noise})[1]
    same = spread * noise
    of_four = scored({"quality": quality, "a": same, "b": same, "c": same, "d": same})[1]
    assert (alone.reading, of_four.reading) == ("negligible", "undecided")
