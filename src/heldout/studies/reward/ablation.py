"""Takes a feature's direction out of the stream and scores the texts again: does its slope go, and quality stay?

Directions come from fit pairs, the site from select pairs, what is reported from test pairs. Random directions of the
same length, at the same site, say what taking away any direction does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, final

import numpy as np
import torch

from heldout.models import Model, Set, Site, batch_size
from heldout.models.batching import batches_by_length
from heldout.models.scores import refuse_values_that_are_not_finite, text_tokens
from heldout.models.sites import evenly
from heldout.seeds import torch_generator
from heldout.statistics import holm, mean_interval, permutation_p_value, proportion_interval
from heldout.studies.reward.directions import FeatureDirections
from heldout.studies.reward.pairs import ALPHA, QUALITY, Pair, PairSet, group_means, group_names
from heldout.studies.reward.ratios import ByGroup, ratio_of
from heldout.studies.reward.scoring import Place, Scores
from heldout.studies.reward.slopes import accuracy, by_group, mean_slope, slope_per_pair

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
MOST_LAYERS = 6
"""At which places are tried, at even distances where a model has more."""
KEPT = 0.02
"""The loss of accuracy on quality that a site may cost, where there is one that costs no more."""


@final
@dataclass(frozen=True)
class Ablation:
    """What became of a feature's slope, and of quality, when its direction was taken out.

    `reduction` is 1 − |slope after| / |slope before|, each in units of quality's slope then, as are those of `random`;
    `reduction_interval` has the error of all four slopes, over groups of test pairs (None where one before, or quality's
    after, is not told from 0). `p_value` is the share of random directions that reduce the slope as much, the feature's
    counted, corrected over all features that were taken out (Holm). Accuracies are shares of test pairs of quality whose
    better text has the higher score; `quality_groups_lost` have a pair of which that was so and is no longer."""

    feature: str
    place: str
    strength: float
    groups: int
    slope_before: float
    slope_after: float
    interval_after: tuple[float, float]
    quality_before: float
    quality_after: float
    quality_slope_before: float
    quality_slope_after: float
    quality_groups: int
    quality_groups_lost: int
    random: tuple[float, ...]
    reduction_interval: tuple[float, float] | None
    p_value: float

    @property
    def reduction(self) -> float:
        return reduction(self.slope_before, self.slope_after, self.quality_kept)

    @property
    def quality_kept(self) -> float:
        """The share of quality's own slope that is left; below 0 where it is turned round."""
        return share_kept(self.quality_slope_before, self.quality_slope_after)

    @property
    def quality_lost_interval(self) -> tuple[float, float]:
        """Of the share of groups, exact."""
        return proportion_interval(self.quality_groups_lost, self.quality_groups)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "reduction": self.reduction, "quality_kept": self.quality_kept}


def candidate_places(model: Model) -> list[Place]:
    """The stream at every token before the first layer and after each but the last; and where the score is read at the
    last token, at that token after each."""
    after = evenly(model.sites("resid_post"), MOST_LAYERS)
    everywhere = [Place(site, True) for site in (Site("resid_pre", 0), *after[:-1])]
    return (
        everywhere if model.architecture.reads_first_token else [*everywhere, *(Place(site, False) for site in after)]
    )


def ablations_of(
    model: Model, pairs: PairSet, chosen: Mapping[str, FeatureDirections], seed: int
) -> tuple[Ablation, ...]:
    """Of each feature at its place. There are as many random directions as it takes for one that none of them equals to
    be told from chance among all features."""
    random = math.ceil(len(chosen) / ALPHA)
    alone = [ablate(model, feature, pairs, place, random, seed) for feature, place in chosen.items()]
    corrected = holm([each.p_value for each in alone])
    return tuple(replace(each, p_value=p_value) for each, p_value in zip(alone, corrected, strict=True))


def ablate(model: Model, feature: str, pairs: PairSet, chosen: FeatureDirections, n_random: int, seed: int) -> Ablation:
    """What taking the feature out at the chosen place does to test pairs; the p-value is not corrected."""
    own, quality = pairs.of(feature, "test"), pairs.of(QUALITY, "test")
    before = ablated_scores(model, None, feature, [*own, *quality])
    after = ablated_scores(model, chosen, feature, [*own, *quality])
    interval = mean_interval(group_means(own, slope_per_pair(own, after)))
    assert interval is not None, "check_pairs asks for more than two groups"
    slope, left = mean_slope(own, before), mean_slope(own, after)
    units = [in_units(by_group(own, scores), by_group(quality, scores)) for scores in (before, after)]
    random = random_reductions(model, chosen, feature, pairs, before, n_random, seed)
    kept = share_kept(mean_slope(quality, before), mean_slope(quality, after))
    return Ablation(
        feature=feature,
        place=str(chosen.place),
        strength=chosen.strength,
        groups=len(by_group(own, before)),
        slope_before=slope,
        slope_after=left,
        interval_after=interval,
        quality_before=accuracy(quality, before),
        quality_after=accuracy(quality, after),
        quality_slope_before=mean_slope(quality, before),
        quality_slope_after=mean_slope(quality, after),
        quality_groups=len(group_names(quality)),
        quality_groups_lost=groups_lost(quality, before, after),
        random=tuple(random),
        reduction_interval=reduction_interval(*units),
        p_value=permutation_p_value(reduction(slope, left, kept), np.array(random)),
    )


def best_place(model: Model, feature: str, pairs: PairSet, places: Sequence[FeatureDirections]) -> FeatureDirections:
    """Of the places that cost at most KEPT of the accuracy on quality, that which leaves least of the slope in single groups
    (the strength brings their mean near zero almost anywhere); where there is none, that which costs least. Place and
    strength are chosen on select pairs."""
    own, quality = pairs.of(feature, "select"), pairs.of(QUALITY, "select")
    before = accuracy(quality, ablated_scores(model, None, feature, quality))

    def cost(place: FeatureDirections) -> tuple[float, float]:
        lost = before - accuracy(quality, ablated_scores(model, place, feature, quality))
        left = group_means(own, slope_per_pair(own, ablated_scores(model, place, feature, own)))
        return max(0.0, lost - KEPT), float(np.square(left).mean())

    return min((with_best_strength(model, feature, own, place) for place in places), key=cost)


def with_best_strength(model: Model, feature: str, own: Sequence[Pair], place: FeatureDirections) -> FeatureDirections:
    """The strength at which the slope is nearest to zero, interpolated between STRENGTHS."""
    tried = [replace(place, strength=strength) for strength in STRENGTHS]
    slopes = np.array([mean_slope(own, ablated_scores(model, each, feature, own)) for each in tried])
    crossings = np.flatnonzero(np.diff(np.sign(slopes)))
    if not len(crossings):
        return tried[int(np.abs(slopes).argmin())]
    first = crossings[0]
    before, after = abs(slopes[first]), abs(slopes[first + 1])
    share = before / (before + after)
    return replace(place, strength=float(STRENGTHS[first] + share * (STRENGTHS[first + 1] - STRENGTHS[first])))


def random_reductions(
    model: Model, place: FeatureDirections, feature: str, pairs: PairSet, before: Scores, n: int, seed: int
) -> list[float]:
    own, quality = pairs.of(feature, "test"), pairs.of(QUALITY, "test")
    slope, unit = mean_slope(own, before), mean_slope(quality, before)
    generator = torch_generator(seed, "random directions", feature)
    reductions: list[float] = []
    for _ in range(n):
        after = ablated_scores(model, place.with_random(feature, generator), feature, [*own, *quality])
        reductions.append(reduction(slope, mean_slope(own, after), share_kept(unit, mean_slope(quality, after))))
    return reductions


def share_kept(before: float, after: float) -> float:
    return after / before if before else 0.0


def reduction(before: float, after: float, kept: float = 1.0) -> float:
    """1 − |after / before| in units of quality, of whose slope a share is `kept`; 0 where none is."""
    return 1 - abs(after) / (abs(before) * kept) if before and kept > 0.0 else 0.0


def groups_lost(quality: Sequence[Pair], before: Scores, after: Scores) -> int:
    turned = (before.differences(quality) > 0) & (after.differences(quality) <= 0)
    return len({pair.group for pair, wrong in zip(quality, turned, strict=True) if wrong})


def in_units(own: ByGroup, quality: ByGroup) -> ByGroup | None:
    """Pseudo-values, one for each group, with the slope in units of quality's as their mean and its error; None where quality's
    is not told from 0."""
    ratio = ratio_of(own, quality)
    return None if ratio is None else {group: ratio.value + each for group, each in ratio.influence.items()}


def reduction_interval(before: ByGroup | None, after: ByGroup | None) -> tuple[float, float] | None:
    """That of 1 − |after / before|."""
    left = None if before is None or after is None else ratio_of(after, before)
    if left is None:
        return None
    low, high = left.interval
    least = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
    return (1.0 - max(abs(low), abs(high)), 1.0 - least)


def ablated_scores(model: Model, place: FeatureDirections | None, feature: str, pairs: Sequence[Pair]) -> Scores:
    """As `ablated_texts`, of the texts of pairs."""
    return ablated_texts(model, place, feature, [text for pair in pairs for text in (pair.more, pair.less)])


def ablated_texts(model: Model, place: FeatureDirections | None, feature: str, texts: Sequence[str]) -> Scores:
    """The score of each text without the feature's direction at its last token (None: as it is); two passes each."""
    texts = list(dict.fromkeys(texts))
    tokens = text_tokens(model, texts)
    values = torch.empty(len(texts))
    for rows, part in batches_by_length(tokens, batch_size(model, tokens.length)):
        if place is None:
            values[rows] = model.logits(part)[:, -1, 0].float().cpu()
            continue
        site, positions = place.place.site, None if place.place.everywhere else -1
        stream = model.trace(part, [site], positions=positions, logits=False)[site].float().cpu()
        with model.intervene(Set(site, place.without(feature, stream), positions=positions)):
            values[rows] = model.logits(part)[:, -1, 0].float().cpu()
    refuse_values_that_are_not_finite("ablated_texts", values)
    return Scores(dict(zip(texts, values.tolist(), strict=True)))
