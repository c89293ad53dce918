"""Theorems: slopes, readers of directions, edits and best-of-n, each against what is known or a naive loop."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import torch

from heldout.models import Site
from heldout.studies.reward.best_of_n import expected_of_best
from heldout.studies.reward.directions import FeatureDirections
from heldout.studies.reward.pairs import PairSet
from heldout.studies.reward.scoring import Place, Scores
from heldout.studies.reward.slopes import slopes_of
from heldout.studies.reward.token_edits import MOST_EDITS, EditedText

ScoredPairs = Callable[..., tuple[PairSet, Scores]]


def test_slopes_are_differences_by_unit(scored_pairs: ScoredPairs) -> None:
    found = slopes_of(*scored_pairs({"quality": 2.0, "length": 0.5, "tone": -0.7, "none": 0.0}, noise=0.0), seed=0)
    assert [slope.value for slope in found] == pytest.approx([2.0, 0.5, -0.7, 0.0])
    assert [slope.reading for slope in found] == ["rewarded", "rewarded", "punished", "undecided"]
    assert found[3].is_within


def test_noise_alone_is_no_finding(scored_pairs: ScoredPairs) -> None:
    found = slopes_of(*scored_pairs({"quality": 2.0, "a": 0.0, "b": 0.0, "c": 0.0}, noise=2.0), seed=0)
    assert not any(slope.found for slope in found[1:])
    assert any(slope.reading == "undecided" for slope in found[1:])


def test_the_null_is_centred_whatever_the_slope(scored_pairs: ScoredPairs) -> None:
    _, slope = slopes_of(*scored_pairs({"quality": 2.0, "length": 0.5}, noise=0.1), seed=0)
    assert slope.null[0] < 0 < slope.null[1] < slope.value
    assert slope.p_value < 0.01


def test_taking_a_feature_out_leaves_the_means_of_others() -> None:
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(4, 10, generator=generator)
    directions[1] += 2 * directions[0]
    place = Place(Site("resid_post", 0), everywhere=False)
    features = FeatureDirections.of(place, ("quality", "length", "format", "tone"), directions, torch.zeros(10))
    torch.testing.assert_close(features.units(directions), torch.eye(4), atol=1e-4, rtol=0)
    left = features.without("length", directions)
    torch.testing.assert_close(left[[0, 2, 3]], directions[[0, 2, 3]], atol=1e-4, rtol=0)
    assert left[1].abs().max() < 1e-4
    random = features.with_random("length", generator)
    assert random.without("length", directions)[1].norm() > 0.3 * directions[1].norm()


@pytest.mark.parametrize(
    ("first", "second"), [([1, 2, 3], [1, 4, 3, 5, 6]), ([], [7]), ([1, 2], [1, 2]), ([5, 1, 9], [2])]
)
def test_edits_lead_from_the_one_text_to_the_other(first: list[int], second: list[int]) -> None:
    text = EditedText.between(first, second)
    assert text.after(frozenset()) == first
    assert text.after(frozenset(range(len(text.groups)))) == second


def test_many_edits_are_made_in_groups() -> None:
    text = EditedText.between(list(range(100)), list(range(100, 250)))
    assert len(text.groups) == MOST_EDITS
    assert text.after(frozenset(range(MOST_EDITS))) == list(range(100, 250))


def test_every_order_comes_with_its_reverse() -> None:
    orders = EditedText.between([1, 2, 3], [4, 5, 6]).orders(np.random.default_rng(0))
    assert orders[1::2] == [order[::-1] for order in orders[0::2]]


@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_best_of_n_is_the_mean_over_all_choices(n: int) -> None:
    generator = np.random.default_rng(1)
    scores, amounts = generator.normal(size=(3, 7)), generator.normal(size=(3, 7))
    scores[:, 1] = scores[:, 4]  # a tie, which both share
    naive = [
        np.mean([best(row, own, list(chosen)) for chosen in combinations(range(7), n)])
        for row, own in zip(scores, amounts, strict=True)
    ]
    assert expected_of_best(amounts, scores, n) == pytest.approx(naive)


def best(scores: np.ndarray, amounts: np.ndarray, chosen: list[int]) -> float:
    top = scores[chosen].max()
    return float(amounts[[place for place in chosen if scores[place] == top]].mean())
