"""What the study found: models with their readings, grouped by size, and an exponent of each quantity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from heldout.studies.drawing import BandPoint
from heldout.studies.drawing.bands import mean_with_interval
from heldout.studies.scaling.exponents import FORMS, Exponent, corrected, exponent_of
from heldout.studies.scaling.measured import MeasuredModel
from heldout.studies.scaling.positive import positive_values
from heldout.studies.scaling.reading import QUANTITIES, Quantity, Reading


@final
@dataclass(frozen=True)
class ScalingStudy:
    """Everything that the study found; docs/scaling.md says what the words mean."""

    models: tuple[MeasuredModel, ...]
    exponents: tuple[Exponent, ...]
    settings: dict[str, Any]

    @classmethod
    def of(cls, models: Sequence[MeasuredModel], settings: dict[str, Any], seed: int) -> ScalingStudy:
        """Fits both forms to each quantity; p-values are corrected over all of them."""
        ordered = tuple(sorted(models, key=lambda model: (model.size, model.series, model.name)))
        exponents = [
            exponent_of(quantity, form, positive_values(ordered, quantity), seed)
            for quantity in QUANTITIES
            for form in FORMS
        ]
        return cls(ordered, corrected(exponents), settings)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        return tuple(sorted({model.size for model in self.models}))

    @property
    def series(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(model.series for model in self.models))

    def exponent(self, quantity: Quantity) -> Exponent:
        """The power law, or where that is refused and one with an offset is not, the latter."""
        plain, bent = (each for each in self.exponents if each.quantity == quantity)
        return bent if plain.law is None and bent.law is not None else plain

    def band(self, quantity: Quantity) -> list[BandPoint]:
        """The geometric mean over the models of each size that have a value above 0."""
        values = positive_values(self.models, quantity).by_size
        return [BandPoint(float(size), *mean_with_interval(values[size], True)) for size in values if values[size]]

    def nulls(self, quantity: Quantity) -> list[BandPoint]:
        """The geometric mean at each size where every null is above 0."""
        points: list[BandPoint] = []
        for size in self.sizes:
            nulls = [model.reading(quantity).null for model in self.models if model.size == size]
            found = [null for null in nulls if null is not None]
            if found and min(found) > 0.0:
                points.append(BandPoint(float(size), mean_with_interval(found, True)[0], None))
        return points

    def nulls_at_zero(self, quantity: Quantity) -> int:
        """How many models have a null that no logarithmic axis can show."""
        nulls = [model.reading(quantity).null for model in self.models]
        return sum(null is not None and null <= 0.0 for null in nulls)

    def refusals(self, quantity: Quantity) -> list[tuple[MeasuredModel, Reading]]:
        return [(model, model.reading(quantity)) for model in self.models if model.reading(quantity).value is None]

    def to_json(self) -> dict[str, Any]:
        return {
            "settings": self.settings,
            "sizes": list(self.sizes),
            "series": list(self.series),
            "exponents": [exponent.to_json() for exponent in self.exponents],
            "models": [model.to_json() for model in self.models],
        }
