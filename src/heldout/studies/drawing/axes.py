"""The axis of a panel: limits, scale, and where its ticks stand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, final

from heldout.report.axes import nice_step
from heldout.studies.drawing.digits import power_of_ten

LOWEST = 1e-12
"""What a logarithmic axis shows of 0."""

Scale = Literal["linear", "square root", "logarithmic"]


@final
@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high`. A square-root axis begins at 0, and a logarithmic one above it."""

    low: float
    high: float
    scale: Scale = "linear"

    def share(self, value: float) -> float:
        """Where `value` lies, from 0 at `low` to 1 at `high`; what is beyond them lies on the edge.

        >>> Axis(0, 100, "square root").share(25), Axis(0.1, 10, "logarithmic").share(1), Axis(-1, 1).share(3)
        (0.5, 0.5, 1.0)
        """
        low, high = self._unit(self.low), self._unit(self.high)
        return min(1.0, max(0.0, (self._unit(value) - low) / ((high - low) or 1.0)))

    def ticks(self, wanted: int = 4) -> list[tuple[float, str]]:
        """Round values with how they are written.

        >>> Axis(-1, 1).ticks()
        [(-1.0, '−1'), (-0.5, '−0.5'), (0.0, '0'), (0.5, '0.5'), (1.0, '1')]
        >>> Axis(1e-3, 10, "logarithmic").ticks()
        [(0.001, '10⁻³'), (0.01, '10⁻²'), (0.1, '10⁻¹'), (1.0, '1'), (10.0, '10')]
        """
        if self.scale == "logarithmic":
            return self._powers(wanted)
        step = nice_step(self.high - self.low, wanted)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [(place * step, f"{place * step:.4g}".replace("-", "−")) for place in range(first, last + 1)]

    def _powers(self, wanted: int) -> list[tuple[float, str]]:
        low, high = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        step = max(1, math.ceil((high - low) / (wanted + 2)))
        return [(10.0**power, power_of_ten(power)) for power in range(low, high + 1, step)]

    def _unit(self, value: float) -> float:
        if self.scale == "logarithmic":
            return math.log10(max(value, LOWEST))
        return math.sqrt(max(value, 0.0)) if self.scale == "square root" else value


def axis_around(values: Iterable[float], scale: Scale = "linear") -> Axis:
    """Round limits around finite values: whole powers of ten on a logarithmic axis, else with 0 among them.

    >>> axis_around([0.2, 0.9]), axis_around([3e-4, 0.5], "logarithmic")
    (Axis(low=0.0, high=1.0, scale='linear'), Axis(low=0.0001, high=1.0, scale='logarithmic'))
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    if scale == "logarithmic":
        logarithms = [math.log10(max(value, LOWEST)) for value in finite]
        low, high = math.floor(min(logarithms)), math.ceil(max(logarithms))
        return Axis(10.0**low, 10.0 ** max(high, low + 1), scale)
    least, most = min(0.0, *finite), max(0.0, *finite)
    step = nice_step(most - least)
    return Axis(math.floor(least / step) * step, math.ceil(most / step) * step, scale)
