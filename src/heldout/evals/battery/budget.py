"""How many forward passes the evals may still make."""

from __future__ import annotations

from collections.abc import Iterable

from heldout.models.model import Meter


class Budget:
    """`total` forward passes of one prompt, counted on `meters` from now on. Final."""

    def __init__(self, total: float, meters: Iterable[Meter]) -> None:
        self.total = total
        self._meters = list({id(meter): meter for meter in meters}.values())
        self._start = self._counted()

    @property
    def spent(self) -> float:
        return self._counted() - self._start

    def share(self, waiting: int) -> float:
        """What each of `waiting` evals may spend; what one leaves goes to those after it."""
        return max(0.0, self.total - self.spent) / waiting

    def _counted(self) -> float:
        return sum(meter.samples for meter in self._meters)
