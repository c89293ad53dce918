"""What a direction takes is told in units of quality: one that shrinks the whole score takes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from heldout.studies.reward import Pair, PairSet
from heldout.studies.reward.ablation import Ablation, groups_lost, in_units, reduction, reduction_interval
from heldout.studies.reward.findings import is_cause
from heldout.studies.reward.pairs import QUALITY
from heldout.studies.reward.scoring import Scores
from heldout.studies.reward.slopes import by_group

FOUND = Ablation(
    feature="length",
    place="resid_pre.0, every token",
    strength=1.0,
    groups=12,
    slope_before=0.5,
    slope_after=0.05,
    interval_after=(0.0, 0.1),
    quality_before=1.0,
    quality_after=1.0,
    quality_slope_before=1.0,
    quality_slope_after=1.0,
    quality_groups=22,
    quality_groups_lost=0,
    random=(0.1,) * 20,
    reduction_interval=(0.8, 1.0),
    p_value=0.04,
)
ScoredPairs = Callable[..., tuple[PairSet, Scores]]


@pytest.mark.parametrize("factor", [0.1, 0.5, 0.79])
def test_a_whole_score_that_shrinks_is_no_cause(factor: float) -> None:
    assert is_cause(FOUND)
    shrunk = replace(FOUND, slope_after=factor * FOUND.slope_before, quality_slope_after=factor)
    assert shrunk.reduction == pytest.approx(0.0)
    assert not is_cause(shrunk)


def test_what_takes_quality_along_is_no_cause() -> None:
    """Accuracy may keep within its bound where no more than a fifth of quality's slope is left."""
    for factor, holds in ((0.81, True), (0.79, False), (-1.0, False)):
        assert is_cause(replace(FOUND, slope_after=0.0, quality_slope_after=factor)) is holds
    assert not is_cause(replace(FOUND, quality_after=0.97))


def test_a_reduction_where_no_quality_is_left_is_none() -> None:
    assert reduction(0.5, 0.0, 0.0) == reduction(0.5, 0.0, -1.0) == 0.0


def test_the_interval_has_the_error_of_qualitys_slope(scored_pairs: ScoredPairs) -> None:
    pairs, scores = scored_pairs({QUALITY: 2.0, "length": 1.0}, noise={QUALITY: 0.5, "length": 0.1})
    own, quality = pairs.of("length", "test"), pairs.of(QUALITY, "test")
    shrunk = Scores({text: 0.1 * value for text, value in scores.by_text.items()})
    units = [in_units(by_group(own, each), by_group(quality, each)) for each in (scores, shrunk)]
    assert reduction_interval(*units) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert reduction_interval(units[0], None) is None
    other = scored_pairs({QUALITY: 2.0, "length": 0.2}, noise={QUALITY: 0.5, "length": 0.1}, seed=1)[1]
    after = in_units(by_group(own, other), by_group(quality, other))
    plain = reduction_interval(by_group(own, scores), by_group(own, other))
    told = reduction_interval(units[0], after)
    assert told is not None
    assert plain is not None
    assert told[0] < 0.8 < told[1]
    assert told[1] - told[0] > plain[1] - plain[0]


def test_groups_are_lost_where_a_pair_turns_wrong() -> None:
    quality = [Pair(f"q{n}", QUALITY, f"{n} better", f"{n} worse", 1.0, f"g{n // 2}", "test") for n in range(6)]
    scores = {f"{n} worse": 0.0 for n in range(6)}
    before = Scores({**scores, **{f"{n} better": 1.0 for n in range(6)}})
    after = Scores({**scores, **{f"{n} better": (-1.0) ** (n >= 4) for n in range(6)}})
    assert (groups_lost(quality, before, before), groups_lost(quality, before, after)) == (0, 1)
    lost = replace(FOUND, quality_groups=22, quality_groups_lost=0).quality_lost_interval
    assert lost == pytest.approx((0.0, 1 - 0.025 ** (1 / 22)))
    assert np.isfinite(lost).all()
