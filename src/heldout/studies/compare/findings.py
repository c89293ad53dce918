"""Everything that the study found, in one frozen record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from heldout.execution.result import Result
from heldout.progress import Progress
from heldout.studies.compare.alignment import Cell, Likeness, align, json_of, pairs_of, prepare
from heldout.studies.compare.concepts import Skipped, concepts_of
from heldout.studies.compare.decoding import Held, decode_concepts
from heldout.studies.compare.items import Items
from heldout.studies.compare.measures import Setting, concept_geometries, measure_pairs
from heldout.studies.compare.readings import Reading
from heldout.techniques.representation_comparison import Draws

SCHEMA = "heldout.compare/1"


@final
@dataclass(frozen=True)
class ModelComparison:
    """Everything that the study found; docs/compare.md says what the words mean."""

    models: tuple[Reading, ...]
    items: Items
    position: int | None
    draws: Draws
    cells: tuple[Cell, ...]
    likenesses: tuple[Likeness, ...]
    measures: tuple[Result, ...]
    held: tuple[Held, ...]
    geometries: tuple[Result, ...]
    skipped: tuple[Skipped, ...]

    def model(self, label: str) -> Reading:
        return next(model for model in self.models if model.label == label)

    def likeness(self, model: str, other: str) -> Likeness | None:
        return next((each for each in self.likenesses if {each.model, each.other} == {model, other}), None)

    @property
    def trained(self) -> list[Reading]:
        return [model for model in self.models if model.trained]

    @property
    def neighbours_first(self) -> list[tuple[str, str]]:
        """Every two different models, those that follow each other before those further apart."""
        labels = [model.label for model in self.trained]
        places = [(one, other) for one in range(len(labels)) for other in range(one + 1, len(labels))]
        ordered = sorted(places, key=lambda place: place[1] - place[0])
        return [(labels[one], labels[other]) for one, other in ordered]

    @property
    def flagged(self) -> list[Cell]:
        """Cells between different models whose value does not stand on its whole representation."""
        return [cell for cell in self.cells if cell.flags and cell.model != cell.other]

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "models": [model.to_json() for model in self.models],
            "prompts": self.items.to_json(),
            "position": "mean" if self.position is None else self.position,
            "draws": json_of(self.draws),
            "likenesses": [json_of(each) for each in self.likenesses],
            "cells": [json_of(each) for each in self.cells],
            "measures": [each.to_json() for each in self.measures],
            "concepts": [each.result().to_json() for each in self.held],
            "geometries": [each.to_json() for each in self.geometries],
            "skipped": [json_of(each) for each in self.skipped],
        }


def found_in(
    readings: Sequence[Reading], items: Items, position: int | None, draws: Draws, progress: Progress
) -> ModelComparison:
    """What readings of the same items say of their models."""
    progress("aligning", 0, 1)
    sides = prepare(readings)
    alignment = align(sides, pairs_of(readings), draws.permutations, draws.seed)
    setting = Setting(readings, sides, items.names, position, draws)
    measures = measure_pairs(setting, progress)
    progress("reading concepts", 0, 1)
    concepts, skipped = concepts_of(items)
    decodings = decode_concepts(readings, items, concepts, draws.seed)
    geometries = concept_geometries(setting, concepts, decodings.sites)
    return ModelComparison(
        models=tuple(readings),
        items=items,
        position=position,
        draws=draws,
        cells=alignment.cells,
        likenesses=alignment.likenesses,
        measures=tuple(measures),
        held=decodings.held,
        geometries=tuple(geometries),
        skipped=tuple(skipped),
    )
