"""Reads one reward model: slopes, attributions, ablations and best-of-n, one named step after the other."""

from __future__ import annotations

from collections.abc import Callable

from heldout.execution.threads import one_thread_if_small
from heldout.models import Model, Site
from heldout.studies.reward.ablation import ablated_texts, ablations_of, best_place, candidate_places
from heldout.studies.reward.attribution import (
    Attribution,
    attributed_pairs,
    to_components,
    to_features,
    to_tokens,
    worth_of_units,
)
from heldout.studies.reward.best_of_n import Candidates, best_of_n
from heldout.studies.reward.directions import FeatureDirections, fitted
from heldout.studies.reward.findings import Exploited, Reading
from heldout.studies.reward.pairs import QUALITY, PairSet
from heldout.studies.reward.scoring import Place, Scores, scores_of
from heldout.studies.reward.shuffling import shuffled_gains
from heldout.studies.reward.slopes import accuracy, slopes_of

Step = Callable[[str], None]
STEPS = 5
READ_AT = Place(Site("resid_pre", 0), everywhere=True)
"""Where features are read for attribution: before layers mix them."""


def read_model(model: Model, pairs: PairSet, candidates: Candidates | None, seed: int, step: Step) -> Reading:
    """Everything but the comparison with another model."""
    with one_thread_if_small(model.n_parameters):
        step("scoring pairs")
        scores = scores_of(model, pairs.texts)
        slopes = slopes_of(pairs, scores, seed)
        step("attributing differences")
        attributions = attributions_of(model, pairs, scores, seed)
        step("fitting directions")
        found = [slope.feature for slope in slopes[1:] if slope.found]
        places = [fitted(model, pairs, place) for place in candidate_places(model)] if found else []
        step("ablating directions")
        chosen = {feature: best_place(model, feature, pairs, places) for feature in found}
        ablations = ablations_of(model, pairs, chosen, seed)
        step("choosing the best of n")
        best = () if candidates is None else exploitation(model, candidates, chosen, seed)
    quality = accuracy(pairs.of(QUALITY, "test"), scores)
    return Reading(model.name, model.digest, quality, slopes, attributions, ablations, best)


def slopes_only(model: Model, pairs: PairSet, seed: int) -> Reading:
    """The reading of the model before: slopes and accuracy."""
    scores = scores_of(model, pairs.texts)
    quality = accuracy(pairs.of(QUALITY, "test"), scores)
    return Reading(model.name, model.digest, quality, slopes_of(pairs, scores, seed), (), (), ())


def attributions_of(model: Model, pairs: PairSet, scores: Scores, seed: int) -> tuple[Attribution, ...]:
    """Three of each feature, quality first; without components where the stream is not the sum of what they write."""
    readers = fitted(model, pairs, READ_AT)
    worth = worth_of_units(pairs, scores, readers.features)
    found: list[Attribution] = []
    for feature in (QUALITY, *pairs.features):
        own = attributed_pairs(pairs, feature)
        if not model.architecture.norms_the_stream:
            found.append(to_components(model, feature, own, scores))
        found.append(to_tokens(model, feature, own, scores, seed))
        found.append(to_features(model, feature, own, scores, readers, worth))
    return tuple(found)


def exploitation(
    model: Model, candidates: Candidates, chosen: dict[str, FeatureDirections], seed: int
) -> tuple[Exploited, ...]:
    """By the score as it is, then without each feature's direction."""
    scores = scores_of(model, candidates.all_texts)
    plain = Exploited(None, tuple(best_of_n(candidates, scores)), shuffled_gains(candidates, scores, seed))
    without = (
        Exploited(feature, tuple(best_of_n(candidates, ablated_texts(model, place, feature, candidates.all_texts))))
        for feature, place in chosen.items()
    )
    return (plain, *without)
