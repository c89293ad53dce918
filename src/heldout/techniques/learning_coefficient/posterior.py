"""The tempered posterior around a point, and one Hamiltonian trajectory in it.

    p(w) ∝ exp(−nβ (L(w) − L(w*)) − γ/2 ‖w − w*‖²)

The Gaussian keeps chains near w*, and is the prior of Watanabe's theory: any smooth one that is positive at w* leaves
the learning coefficient as it is. A trajectory is a proposal that Metropolis accepts or rejects, so that draws have no
discretisation error at any step size; with a single step it is the Metropolis-adjusted Langevin algorithm (MALA).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from heldout.shapes import Float
from heldout.techniques.learning_coefficient.landscape import Landscape


@final
@dataclass(frozen=True, eq=False)
class State:
    """Where the chains are, with the loss and its gradient there."""

    parameters: Float[Tensor, "chain parameter"]
    losses: Float[Tensor, " chain"]
    gradients: Float[Tensor, "chain parameter"]

    def replaced_where(self, accepted: Tensor, other: State) -> State:
        rows = accepted[:, None]
        return State(
            torch.where(rows, other.parameters, self.parameters),
            torch.where(accepted, other.losses, self.losses),
            torch.where(rows, other.gradients, self.gradients),
        )


@final
@dataclass(frozen=True, eq=False)
class Posterior:
    """`n_beta` is nβ, the inverse temperature by the number of observations; `localisation` is γ."""

    landscape: Landscape
    n_beta: float
    localisation: float

    def start(self, chains: int) -> State:
        """All chains at w*."""
        return self.state(self.landscape.point.expand(chains, -1).clone())

    def state(self, parameters: Float[Tensor, "chain parameter"]) -> State:
        return State(parameters, *self.landscape.losses_and_gradients(parameters))

    def scaled_losses(self, state: State) -> Float[Tensor, " chain"]:
        """nβ (L(w) − L(w*)), whose mean is the estimate."""
        return self.n_beta * (state.losses.double() - self.landscape.loss_at_point)

    def scaled_distances(self, state: State) -> Float[Tensor, " chain"]:
        """γ ‖w − w*‖²: 1 on average for each direction that the loss leaves free."""
        away = state.parameters - self.landscape.point
        return self.localisation * away.square().sum(dim=1, dtype=torch.float64)

    def virials(self, state: State) -> Float[Tensor, " chain"]:
        """(w − w*)·∇U, whose mean is the number of parameters in equilibrium, whatever the loss (integrate by parts)."""
        away = state.parameters - self.landscape.point
        return (away * self.slopes(state)).sum(dim=1, dtype=torch.float64)

    def potentials(self, state: State) -> Float[Tensor, " chain"]:
        """U = −log p, up to a constant."""
        return self.scaled_losses(state) + self.scaled_distances(state) / 2

    def slopes(self, state: State) -> Float[Tensor, "chain parameter"]:
        """∇U."""
        return self.n_beta * state.gradients + self.localisation * (state.parameters - self.landscape.point)

    def trajectory(
        self, state: State, momenta: Float[Tensor, "chain parameter"], step: float, count: int
    ) -> tuple[State, Float[Tensor, " chain"]]:
        """`count` leapfrog steps: where they end, and the probability of accepting it. A trajectory that leaves the
        finite numbers has probability 0."""
        before = self.potentials(state) + _kinetic(momenta)
        momenta = momenta - step / 2 * self.slopes(state)
        for i in range(count):
            state = self.state(state.parameters + step * momenta)
            momenta = momenta - (step if i < count - 1 else step / 2) * self.slopes(state)
        gained = self.potentials(state) + _kinetic(momenta) - before
        return state, torch.exp(-gained.clamp(min=0.0)).nan_to_num(0.0)


def _kinetic(momenta: Float[Tensor, "chain parameter"]) -> Float[Tensor, " chain"]:
    return momenta.square().sum(dim=1, dtype=torch.float64) / 2
