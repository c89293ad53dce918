"""Several chains of Hamiltonian Monte Carlo from one point, and what is kept of each draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heldout.shapes import Float
from heldout.techniques.learning_coefficient.posterior import Posterior, State
from heldout.techniques.learning_coefficient.step_size import DualAveraging, first_step

Series = NDArray[np.float64]
"""Numbers by draw and chain."""


@final
@dataclass(frozen=True)
class Sampling:
    """`chains` run side by side; each makes `warmup` trajectories that find the step size and do not count, and then
    `draws` that do.

    `length` is how far a trajectory goes, in the time that the prior takes (1/√γ): the slowest directions are those in
    which nothing but the prior pulls back, and this is measured on their clock. A trajectory is never of more than
    `largest_steps` steps, whatever the step size that gives `acceptance`. Lengths and steps vary by half around these,
    so that no direction is met at its own period each time (Neal 2011, section 3.2)."""

    chains: int = 64
    draws: int = 200
    warmup: int = 60
    length: float = 0.5
    acceptance: float = 0.8
    largest_steps: int = 4000


@final
@dataclass(frozen=True, eq=False)
class Draws:
    """By draw and chain: nβ (L(w) − L(w*)), γ ‖w − w*‖² and (w − w*)·∇U. `gradient_evaluations` counts one for each
    chain, warm-up included."""

    losses: Series
    distances: Series
    virials: Series
    acceptance: float
    step: float
    gradient_evaluations: int


def draw(posterior: Posterior, sampling: Sampling, generator: torch.Generator) -> Draws:
    """Runs the chains. `generator` is on the landscape's device."""
    run = _Run(posterior, sampling, generator)
    adaptation = DualAveraging(first_step(posterior, run.state, generator), sampling.acceptance)
    for _ in range(sampling.warmup):
        adaptation.update(run.advance(adaptation.step))
    kept: list[Tensor] = []
    accepted = 0.0
    for _ in range(sampling.draws):
        accepted += run.advance(adaptation.averaged) / sampling.draws
        kept.append(run.measured())
    losses, distances, virials = torch.stack(kept, dim=1).cpu().numpy()
    return Draws(losses, distances, virials, accepted, adaptation.averaged, run.gradient_evaluations)


class _Run:
    """The chains while they move."""

    def __init__(self, posterior: Posterior, sampling: Sampling, generator: torch.Generator) -> None:
        self._posterior, self._sampling, self._generator = posterior, sampling, generator
        self.state: State = posterior.start(sampling.chains)
        self.gradient_evaluations = sampling.chains

    def advance(self, step: float) -> float:
        """One trajectory of every chain; the mean probability of acceptance."""
        vary_step, vary_length = (0.5 + self._uniform(2)).tolist()
        step *= vary_step
        time = self._sampling.length * vary_length * self._posterior.localisation**-0.5
        count = max(1, min(self._sampling.largest_steps, round(time / step)))
        momenta = torch.empty_like(self.state.parameters).normal_(generator=self._generator)
        proposed, probabilities = self._posterior.trajectory(self.state, momenta, step, count)
        accepted = self._uniform(len(probabilities)) < probabilities
        self.state = self.state.replaced_where(accepted, proposed)
        self.gradient_evaluations += count * len(probabilities)
        return float(probabilities.mean())

    def measured(self) -> Float[Tensor, "quantity chain"]:
        posterior, state = self._posterior, self.state
        return torch.stack(
            [posterior.scaled_losses(state), posterior.scaled_distances(state), posterior.virials(state)]
        )

    def _uniform(self, count: int) -> Float[Tensor, " number"]:
        device = self._generator.device
        return torch.rand(count, generator=self._generator, dtype=torch.float64, device=device)
