"""What could have been seen: the power of the rules by which a curve holds, by exact counts."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from heldout.studies.trajectory.order import MOST
from heldout.studies.trajectory.phases import LEVEL

SEEN = 0.75
"""Of what a power is given: three quarters of the way from chance to 1, where MOST has to be seen."""


def detectable_rate(chance: float) -> float:
    return chance + SEEN * (1.0 - chance)


def rate_power(n: int, chance: float) -> float:
    """That of n prompts, at `detectable_rate`, more than MOST of the way from chance to 1 pass, and significantly many."""
    beyond_chance = int(stats.binom.isf(LEVEL, n, chance))
    beyond_most = math.floor(n * (chance + MOST * (1.0 - chance)))
    return float(stats.binom.sf(max(beyond_chance, beyond_most), n, detectable_rate(chance)))


def excess_power(unverified: int, verified: int, rate: float) -> float:
    """That the excess of departures holds where it is SEEN: `rate` is that of so many verified prompts, and SEEN more, 1 at
    most, that of unverified ones; over all pairs of counts, by Fisher's test."""
    a, b = np.arange(unverified + 1)[:, None], np.arange(verified + 1)[None, :]
    p_values = stats.hypergeom.sf(a - 1, unverified + verified, a + b, unverified)
    held = (p_values <= LEVEL) & (a / unverified - b / verified > MOST)
    weights = stats.binom.pmf(a, unverified, min(rate + SEEN, 1.0)) * stats.binom.pmf(b, verified, rate)
    return float((weights * held).sum())
