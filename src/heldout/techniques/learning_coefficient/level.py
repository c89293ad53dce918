"""What the chains say at one temperature and one localisation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self, final

from heldout.execution.result import Json
from heldout.techniques.learning_coefficient.convergence import effective_draws, split_r_hat, standard_error
from heldout.techniques.learning_coefficient.draws import Draws
from heldout.techniques.learning_coefficient.posterior import Posterior


@final
@dataclass(frozen=True)
class Level:
    """`value` is nβ (E[L(w)] − L(w*)) with its `standard_error`; of the loss and of the distance from w* how well the
    chains have mixed. `equipartition` is the mean of (w − w*)·∇U for each parameter, 1 in equilibrium. `lowest` is
    the smallest nβ (L(w) − L(w*)) of any draw: below 0, w* is not where the loss is least."""

    n_beta: float
    localisation: float
    value: float
    standard_error: float
    r_hat: float
    effective: float
    distance: float
    distance_r_hat: float
    distance_effective: float
    equipartition: float
    equipartition_error: float
    lowest: float
    acceptance: float
    step: float
    gradient_evaluations: int

    @classmethod
    def of(cls, posterior: Posterior, draws: Draws) -> Self:
        parameters = len(posterior.landscape)
        return cls(
            n_beta=posterior.n_beta,
            localisation=posterior.localisation,
            value=float(draws.losses.mean()),
            standard_error=standard_error(draws.losses),
            r_hat=split_r_hat(draws.losses),
            effective=effective_draws(draws.losses),
            distance=float((draws.distances.mean() / posterior.localisation) ** 0.5),
            distance_r_hat=split_r_hat(draws.distances),
            distance_effective=effective_draws(draws.distances),
            equipartition=float(draws.virials.mean()) / parameters,
            equipartition_error=standard_error(draws.virials) / parameters,
            lowest=float(draws.losses.min()),
            acceptance=draws.acceptance,
            step=draws.step,
            gradient_evaluations=draws.gradient_evaluations,
        )

    def to_json(self) -> dict[str, Json]:
        """What is not finite (nothing moved) as None."""
        return {name: value if abs(value) < float("inf") else None for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return f"nβ={self.n_beta:.4g}, γ={self.localisation:.4g}"
