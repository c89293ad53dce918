"""Power laws, and the fit of one to values of several sizes by least squares in logarithms.

Errors are taken as shares of a value (equal in the logarithm), as those of losses, learning coefficients, path lengths
and circuit sizes are to a first approximation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import expit

Array = NDArray[np.float64]
Form = Literal["power", "power_and_offset"]
"""a·xᵇ, or a·xᵇ + c with c > 0 (a loss that no size gets rid of, say)."""

PARAMETERS: dict[Form, int] = {"power": 2, "power_and_offset": 3}
MOST_STEPS = 100
"""Where there is no offset its logarithm wanders off without end, and no more changes than that."""
STARTS = (-2.0, -1.0, -0.5, -0.2, 0.2, 0.5, 1.0)
"""Exponents from which a fit with an offset is tried: its sum of squares can have several minima."""


@final
@dataclass(frozen=True)
class PowerLaw:
    """factor · sizeᵉˣᵖᵒⁿᵉⁿᵗ + offset."""

    factor: float
    exponent: float
    offset: float = 0.0

    def __call__(self, sizes: Array) -> Array:
        return self.factor * sizes**self.exponent + self.offset


def fit(form: Form, sizes: Array, values: Array, start: PowerLaw | None = None) -> PowerLaw:
    """The law whose logarithm is closest to that of `values` [observation]; sizes and values are positive. `start` is
    where a fit with an offset begins (None: at several places, of which the best is taken)."""
    if form == "power":
        return _straight(sizes, values)
    starts = [_from_exponent(exponent, sizes, values) for exponent in STARTS] if start is None else [_vector(start)]
    centre = float(np.exp(np.log(sizes).mean()))
    scaled = np.log(sizes / centre)
    logs = np.log(values)

    def residuals(vector: Array) -> Array:
        return np.logaddexp(vector[0] + vector[1] * scaled, vector[2]) - logs

    def gradient(vector: Array) -> Array:
        share = expit(vector[0] + vector[1] * scaled - vector[2])
        return np.stack([share, share * scaled, 1.0 - share], axis=1)

    jacobian: Any = gradient  # scipy's annotation knows names of methods only
    fits = [least_squares(residuals, _moved(each, centre), jacobian, max_nfev=MOST_STEPS) for each in starts]
    log_factor, exponent, log_offset = min(fits, key=lambda found: float(found.cost)).x
    return PowerLaw(float(np.exp(log_factor - exponent * np.log(centre))), float(exponent), float(np.exp(log_offset)))


def residuals(law: PowerLaw, sizes: Array, values: Array) -> Array:
    """Logarithms of values less those of the law."""
    return np.log(values) - np.log(law(sizes))


def _straight(sizes: Array, values: Array) -> PowerLaw:
    x, y = np.log(sizes), np.log(values)
    away = x - x.mean()
    exponent = float((away * y).sum() / (away**2).sum())
    return PowerLaw(float(np.exp(y.mean() - exponent * x.mean())), exponent)


def _from_exponent(exponent: float, sizes: Array, values: Array) -> Array:
    """A law of this exponent through the smallest and the largest value, nine tenths of the smallest being offset."""
    offset = 0.9 * float(values.min())
    factor = float(np.mean((values - offset) / sizes**exponent))
    return _vector(PowerLaw(factor, exponent, offset))


def _vector(law: PowerLaw) -> Array:
    tiny = np.finfo(np.float64).tiny
    return np.array([np.log(max(law.factor, tiny)), law.exponent, np.log(max(law.offset, tiny))])


def _moved(vector: Array, centre: float) -> Array:
    """The factor at sizes that are measured in units of `centre`."""
    return np.array([vector[0] + vector[1] * np.log(centre), vector[1], vector[2]])
