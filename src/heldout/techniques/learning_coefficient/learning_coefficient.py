"""The local learning coefficient as a technique."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import final

from heldout.errors import Problems
from heldout.execution.result import Json
from heldout.seeds import torch_generator
from heldout.techniques.learning_coefficient.draws import Sampling, draw
from heldout.techniques.learning_coefficient.estimate import Estimate
from heldout.techniques.learning_coefficient.landscape import Landscape
from heldout.techniques.learning_coefficient.level import Level
from heldout.techniques.learning_coefficient.plateau import Plateau
from heldout.techniques.learning_coefficient.posterior import Posterior
from heldout.techniques.learning_coefficient.requirements import Requirements

HALF_DECADE = 10.0**0.5
FEWEST_LEVELS, DEFAULT_LEVELS = 3, 5


@final
@dataclass(frozen=True)
class LearningCoefficient:
    """λ̂ = nβ (E[L(w)] − L(w*)), the mean over the posterior that is tempered by nβ and localised by γ around w*.

    Draws are those of Hamiltonian Monte Carlo, with Metropolis' correction: they have no bias from the step size. The
    estimate is refused unless chains mix, are in equilibrium, find no point below w*, and what they read is a plateau over
    `n_betas` (None: five over a factor of a hundred, up to n / log n) and over two localisations, γ and √10 γ.
    Source: Lau et al. 2023 (arXiv 2308.12108), equation 9; Watanabe 2013 (WBIC).

    Assumes that w* is a local minimum, and a loss over all of the data. Known failure: where the singular set of large
    models is not explored in the time that is given there is no reading; and a multiplicity above 2 hides more than
    the interval allows for."""

    n_betas: tuple[float, ...] | None = None
    localisation: float = 1.0
    sampling: Sampling = field(default_factory=Sampling)
    requirements: Requirements = field(default_factory=Requirements)
    seed: int = 0

    def measure(self, landscape: Landscape) -> Estimate:
        """The coefficient of `landscape` at its point.

        Raises InputError for settings out of range."""
        n_betas = self._temperatures(landscape)
        levels: list[Level] = []
        for n_beta, localisation in [*((n, self.localisation) for n in n_betas), self._tighter(n_betas)]:
            levels.append(self._level(Posterior(landscape, n_beta, localisation)))
            if refused := self.requirements.against(levels[-1]):
                return self._estimate(landscape, levels, refused)
        plateau = Plateau(tuple(levels[:-1]), levels[-1], len(landscape))
        return self._estimate(landscape, levels, self.requirements.against_plateau(plateau), plateau)

    def most_gradient_evaluations(self) -> int:
        """The most that a measurement can take: every trajectory as long as it may be. Most take far fewer."""
        levels = 1 + (DEFAULT_LEVELS if self.n_betas is None else len(self.n_betas))
        trajectories = self.sampling.warmup + self.sampling.draws
        return levels * self.sampling.chains * trajectories * self.sampling.largest_steps

    def _tighter(self, n_betas: tuple[float, ...]) -> tuple[float, float]:
        return n_betas[-1], HALF_DECADE * self.localisation

    def _level(self, posterior: Posterior) -> Level:
        names = ("learning_coefficient", posterior.n_beta, posterior.localisation)
        generator = torch_generator(self.seed, *names, device=posterior.landscape.point.device)
        return Level.of(posterior, draw(posterior, self.sampling, generator))

    def _estimate(
        self, landscape: Landscape, levels: list[Level], refused: tuple[str, ...], plateau: Plateau | None = None
    ) -> Estimate:
        settings: dict[str, Json] = {
            "left_to_go": None if plateau is None else plateau.left_to_go,
            "localisation": self.localisation,
            "sampling": asdict(self.sampling),
            "requirements": asdict(self.requirements),
            "seed": self.seed,
        }
        return Estimate(
            value=None if refused or plateau is None else plateau.value,
            interval=None if refused or plateau is None else plateau.interval,
            refused=refused,
            levels=tuple(levels),
            parameters=len(landscape),
            draws=self.sampling.chains * self.sampling.draws,
            settings=settings,
        )

    def _temperatures(self, landscape: Landscape) -> tuple[float, ...]:
        problems = Problems(f"{type(self).__name__}.measure")
        if not self.localisation > 0.0:
            found = f"localisation={self.localisation}"
            problems.add(found, "more than 0", "1 lets each parameter move by about 1 where the loss leaves it free")
        for name, value, least in (
            ("chains", self.sampling.chains, 2),
            ("draws", self.sampling.draws, 8),
            ("warmup", self.sampling.warmup, 1),
            ("largest_steps", self.sampling.largest_steps, 1),
        ):
            if value < least:
                problems.add(f"{name}={value}", f"at least {least}", "R̂ compares halves of several chains")
        if not 0.0 < self.sampling.acceptance < 1.0 or not self.sampling.length > 0.0:
            found = f"acceptance={self.sampling.acceptance}, length={self.sampling.length}"
            problems.add(found, "a probability between 0 and 1, and a positive length", "leave them out")
        if self.n_betas is None and landscape.n is None:
            next_step = "give n_betas, five over a factor of a hundred, say"
            problems.add("neither n_betas nor the number of observations", "one of them", next_step)
        n_betas = self.n_betas if self.n_betas is not None else _default_temperatures(landscape.n or 2)
        distinct = sorted({float(each) for each in n_betas})
        if len(distinct) < FEWEST_LEVELS or not distinct[0] > 0.0 or not math.isfinite(distinct[-1]):
            found = f"n_betas={tuple(n_betas)}"
            problems.add(found, "three or more different positive numbers", "a plateau needs three levels")
        problems.raise_if_any()
        return tuple(distinct)


def _default_temperatures(n: int) -> tuple[float, ...]:
    """Up to Watanabe's nβ = n / log n."""
    top = n / math.log(n)
    return tuple(top / HALF_DECADE**halves for halves in reversed(range(DEFAULT_LEVELS)))
