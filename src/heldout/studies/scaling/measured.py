"""One model of the study, with its size and its readings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from heldout.studies.scaling.reading import Quantity, Reading


@final
@dataclass(frozen=True)
class MeasuredModel:
    """A member of a `series` (a folder, one seed), its `size` in parameters that are no embeddings."""

    series: str
    name: str
    digest: str
    size: int
    parameters: int
    readings: tuple[Reading, ...]

    def reading(self, quantity: Quantity) -> Reading:
        return next(reading for reading in self.readings if reading.quantity == quantity)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "readings": [reading.to_json() for reading in self.readings]}
