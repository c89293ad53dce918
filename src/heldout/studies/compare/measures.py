"""Every measure between models at a few equal depths, and the geometry of concepts where each model holds them best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import final

import numpy as np

from heldout.execution.result import Json, Null, Result
from heldout.models import Site
from heldout.models.sites import evenly
from heldout.progress import Progress
from heldout.studies.compare.alignment import Sides, equal_depth
from heldout.studies.compare.concepts import Concept
from heldout.studies.compare.decoding import UNTRAINED
from heldout.studies.compare.readings import Reading
from heldout.techniques.representation_comparison import MEASURES, RSA, Draws, Measure, PrincipalComponents, compare
from heldout.techniques.representation_comparison.similarity_analysis import LEAST_CONDITIONS
from heldout.techniques.representation_comparison.technique import comparison_result

DEPTHS = 3
FEW_MODELS = 4


def compared_pairs(readings: Sequence[Reading]) -> list[tuple[Reading, Reading]]:
    """Every two trained models where there are few; of many, those that follow each other."""
    trained = [reading for reading in readings if reading.trained]
    if len(trained) > FEW_MODELS:
        return list(pairwise(trained))
    return [(one, other) for place, one in enumerate(trained) for other in trained[place + 1 :]]


@final
@dataclass(frozen=True, eq=False)
class Setting:
    """What the comparisons of a study share."""

    readings: Sequence[Reading]
    sides: Mapping[str, Sides]
    names: Sequence[str]
    position: int | None
    draws: Draws


def measure_pairs(setting: Setting, progress: Progress) -> list[Result]:
    """All measures at the first, a middle and the last of the sites at equal depth; beside the null of permuted items the
    value against the other model's untrained twin."""
    results: list[Result] = []
    pairs = compared_pairs(setting.readings)
    for done, (one, other) in enumerate(pairs):
        progress(f"measuring {one.label} against {other.label}", done, len(pairs))
        here, there = (list(setting.sides[reading.label]) for reading in (one, other))
        for place in evenly(equal_depth(here, there), DEPTHS):
            results += [at_depth(setting, measure, one, other, place) for measure in MEASURES]
    return results


def at_depth(setting: Setting, measure: Measure, one: Reading, other: Reading, place: tuple[Site, Site]) -> Result:
    site, there = place
    first = setting.sides[one.label][site].components
    result = found_between(
        setting, measure, (one, site, first), (other, there, setting.sides[other.label][there].components)
    )
    untrained = setting.sides[str(other.twin)].get(there)
    if untrained is None:
        return result
    value = measure.value(measure.side(first), measure.side(untrained.components))
    return replace(result, nulls=(*result.nulls, Null(UNTRAINED, value, value, 1)))


def concept_geometries(
    setting: Setting, concepts: Sequence[Concept], sites: Mapping[tuple[str, str], Site]
) -> list[Result]:
    """RSA over the values of each concept, at the site of each model where the concept is read best."""
    results: list[Result] = []
    for concept in concepts:
        if len({label for label in concept.labels if label is not None}) < LEAST_CONDITIONS:
            continue
        measure, known = RSA(tuple(label or "" for label in concept.labels)), np.array(concept.known)
        for one, other in compared_pairs(setting.readings):
            places = [(reading, sites[concept.name, reading.label]) for reading in (one, other)]
            if all(site in setting.sides[reading.label] for reading, site in places):
                labelled = [
                    (reading, site, setting.sides[reading.label][site].components.of_items(known))
                    for reading, site in places
                ]
                found = found_between(setting, measure, *labelled)
                results.append(replace(found, settings={**found.settings, "concept": concept.name}))
    return results


Place = tuple[Reading, Site, PrincipalComponents]


def found_between(setting: Setting, measure: Measure, one: Place, other: Place) -> Result:
    (model, site, first), (second_model, there, second) = one, other
    found = compare(measure, first, second, setting.draws)
    result = comparison_result(found, site, there, setting.position, setting.names)
    told: dict[str, Json] = {"model": model.label, "other": second_model.label, **result.settings}
    return replace(result, settings=told)
