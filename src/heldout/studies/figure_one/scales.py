"""The axis of a panel, and how its values are written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

FEW = 6


@dataclass(frozen=True)
class LogScale:
    """A logarithmic axis on which each value owns the room to the middle of its neighbours; 0 has a place of its own
    before the smallest other value."""

    values: tuple[float, ...]
    left: float
    right: float

    def x(self, value: float) -> float:
        """
        >>> scale = LogScale((1, 10, 100), 0, 300)
        >>> [round(scale.x(value)) for value in scale.values], [round(edge) for edge in scale.edges]
        ([50, 150, 250], [0, 100, 200, 300])
        """
        return self._placed(self._unit(value))

    @property
    def edges(self) -> list[float]:
        """Where the room of each value begins, and where that of the last one ends."""
        return [self._placed(edge) for edge in self._unit_edges()]

    def ticks(self) -> list[float]:
        """The values where there are few; else 0 and the powers of ten between them."""
        if len(self.values) <= FEW:
            return list(self.values)
        positive = [value for value in self.values if value > 0]
        low, high = math.ceil(math.log10(min(positive, default=1))), math.floor(math.log10(max(positive, default=1)))
        powers = [10.0**power for power in range(low, high + 1)]
        return [*(value for value in self.values if value == 0), *powers]

    def _unit(self, value: float) -> float:
        if value > 0:
            return math.log10(value)
        logs = [math.log10(each) for each in self.values if each > 0] or [0.0]
        return min(logs) - max(0.3, 0.1 * (max(logs) - min(logs)))

    def _unit_edges(self) -> list[float]:
        units = [self._unit(value) for value in self.values]
        middles = [(one + other) / 2 for one, other in pairwise(units)]
        if not middles:
            return [units[0] - 0.5, units[0] + 0.5]
        return [2 * units[0] - middles[0], *middles, 2 * units[-1] - middles[-1]]

    def _placed(self, unit: float) -> float:
        first, *_, last = self._unit_edges()
        return self.left + (unit - first) / (last - first) * (self.right - self.left)


@dataclass(frozen=True)
class EvenScale:
    """An axis of steps in their order, with the same room for each: checkpoints are log-spaced anew in each part of a
    training, which a logarithmic axis would press together at its end."""

    values: tuple[float, ...]
    left: float
    right: float

    def x(self, value: float) -> float:
        """
        >>> scale = EvenScale((0, 8, 512, 520), 0, 400)
        >>> [scale.x(value) for value in scale.values], scale.edges
        ([50.0, 150.0, 250.0, 350.0], [0.0, 100.0, 200.0, 300.0, 400.0])
        """
        return self.left + (self.values.index(value) + 0.5) * self._room

    @property
    def edges(self) -> list[float]:
        return [self.left + place * self._room for place in range(len(self.values) + 1)]

    def ticks(self) -> list[float]:
        """FEW of the values, or all where there are no more."""
        return list(self.values[:: max(1, -(-len(self.values) // FEW))])

    @property
    def _room(self) -> float:
        return (self.right - self.left) / len(self.values)


Scale = LogScale | EvenScale
