"""The step size that makes trajectories accepted as often as asked, found before any draw counts."""

from __future__ import annotations

import math
from typing import final

import torch

from heldout.techniques.learning_coefficient.posterior import Posterior, State

SHRINKAGE, STABILITY, DECAY = 0.05, 10.0, 0.75
"""γ, t₀ and κ of Hoffman and Gelman (2014), section 3.2.1, at the values that they give."""


@final
class DualAveraging:
    """Nesterov's dual averaging of the logarithm of the step (Hoffman and Gelman 2014, equation 6)."""

    def __init__(self, first: float, acceptance: float) -> None:
        self._target, self._centre = acceptance, math.log(10.0 * first)
        self._error, self._average, self._count = 0.0, 0.0, 0
        self.step = first

    def update(self, accepted: float) -> None:
        self._count += 1
        share = 1.0 / (self._count + STABILITY)
        self._error += share * (self._target - accepted - self._error)
        log_step = self._centre - math.sqrt(self._count) / SHRINKAGE * self._error
        self._average += self._count**-DECAY * (log_step - self._average)
        self.step = math.exp(log_step)

    @property
    def averaged(self) -> float:
        """The step to go on with."""
        return math.exp(self._average)


def first_step(posterior: Posterior, state: State, generator: torch.Generator, halvings: int = 60) -> float:
    """The prior's own scale, halved until a single step is accepted more often than not."""
    step = posterior.localisation**-0.5
    momenta = torch.empty_like(state.parameters).normal_(generator=generator)
    for _ in range(halvings):
        _, probabilities = posterior.trajectory(state, momenta, step, 1)
        if float(probabilities.mean()) > 0.5:
            break
        step /= 2
    return step
