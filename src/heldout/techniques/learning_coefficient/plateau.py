"""From levels to one number with an interval: what nβ (E[L] − L(w*)) tends to as nβ grows.

The theory says how it gets there. The partition function goes as Z ∝ nβ^−λ (log nβ)^(m − 1), m being the multiplicity of
the singularity (Watanabe 2009, theorem 6.7), so that by differentiation

    nβ (E[L] − L(w*)) = λ − (m − 1) / (log nβ + c) + …

With m = 1 levels are alike: a plateau. With m = 2 they rise so slowly that they look like one, and lie below λ. Which of
the two it is, and with m = 2 how much is left to go at the largest nβ, is not known: λ̂ is the mean over both, taken as
equally likely beforehand, with every amount weighted by how well the levels fit it; the interval is that of the same
mixture. The terms that are left out are taken to be about half as large as what is left to go. A single parameter has
m = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

from heldout.techniques.learning_coefficient.level import Level

Array = NDArray[np.float64]
AMOUNTS = 2000
OMITTED = 0.5
"""One standard error of what is left to go, as a share of it."""


@final
@dataclass(frozen=True, eq=False)
class Plateau:
    """Levels of one localisation by rising nβ, the last of them again under a `tighter` localisation, and the number of
    parameters."""

    levels: tuple[Level, ...]
    tighter: Level
    parameters: int

    @property
    def top(self) -> Level:
        return self.levels[-1]

    @property
    def value(self) -> float:
        """λ̂, the mean over what may be left to go."""
        return float(self._weights @ self._limits)

    @property
    def left_to_go(self) -> float:
        """How far λ̂ lies above what is read at the largest nβ by the mean of the curves."""
        return float(self._weights @ self._amounts)

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, chance and what may be left to go in one."""
        errors = np.hypot(self._precisions.sum() ** -0.5, OMITTED * self._amounts)

        def beyond(value: float, level: float) -> float:
            return float(self._weights @ stats.norm.cdf(value, self._limits, errors)) - level

        reach = 10.0 * float(errors.max())
        ends = float(self._limits.min()) - reach, float(self._limits.max()) + reach
        low: Any = brentq(beyond, *ends, args=(0.025,))
        high: Any = brentq(beyond, *ends, args=(0.975,))
        return float(low), float(high)

    @property
    def misfit_p_value(self) -> float:
        """That levels lie as far from the best of the curves as these do (chi-squared)."""
        free = len(self.levels) - (2 if self.parameters > 1 else 1)
        return float(stats.chi2.sf(self._misfits.min(), free))

    @property
    def localisation_change(self) -> float:
        """From the tighter localisation to the other."""
        return self.top.value - self.tighter.value

    @cached_property
    def _precisions(self) -> Array:
        return np.array([level.standard_error**-2 for level in self.levels])

    @cached_property
    def _amounts(self) -> Array:
        """(m − 1) / (log nβ + c) at the largest nβ: 0 for m = 1, then all that are positive and finite at the smallest."""
        if self.parameters == 1:
            return np.zeros(1)
        return np.linspace(0.0, 1.0 / float(self._below.max()), AMOUNTS, endpoint=False)

    @cached_property
    def _below(self) -> Array:
        """By how much log nβ of each level is below the largest."""
        return np.log(self.top.n_beta / np.array([level.n_beta for level in self.levels]))

    @cached_property
    def _raised(self) -> NDArray[np.float64]:
        """Amount × level: what is read, and what would be left to go there."""
        amounts = self._amounts[:, None]
        return np.array([level.value for level in self.levels]) + amounts / (1.0 - amounts * self._below)

    @cached_property
    def _limits(self) -> Array:
        """λ by amount: least squares."""
        return np.average(self._raised, axis=1, weights=self._precisions)

    @cached_property
    def _misfits(self) -> Array:
        return ((self._raised - self._limits[:, None]) ** 2) @ self._precisions

    @cached_property
    def _weights(self) -> Array:
        likelihoods = np.exp((self._misfits.min() - self._misfits) / 2)
        likelihoods[1:] /= max(1, len(likelihoods) - 1)
        return likelihoods / likelihoods.sum()
