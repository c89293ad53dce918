"""The learning coefficient where it is known exactly, with one setting for all cases; and the ways to measure it, compared.

    python benchmarks/learning_coefficient.py cases    every case: the estimate, its error, its cost
    python benchmarks/learning_coefficient.py ways     one case at one temperature: SGLD, MALA, Hamiltonian Monte Carlo

The reduced-rank cases are those of Aoyagi and Watanabe 2005 as (inputs, hidden, outputs, rank). The settings were chosen on
the first six; the two after them, and the models of another kind, were not looked at before.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from heldout.techniques.learning_coefficient import Estimate, LearningCoefficient, Level, Sampling
from heldout.techniques.learning_coefficient.convergence import Series, split_r_hat, standard_error
from heldout.techniques.learning_coefficient.draws import draw
from heldout.techniques.learning_coefficient.known import Known, even_power, reduced_rank_regression, regular
from heldout.techniques.learning_coefficient.landscape import Landscape
from heldout.techniques.learning_coefficient.posterior import Posterior

N_BETAS = tuple(10.0 ** (power / 2) for power in range(4, 9))
LOCALISATION = 1.0
DESIGN = ((5, 3, 5, 0), (5, 3, 5, 2), (5, 3, 5, 3), (5, 4, 5, 1), (4, 3, 8, 1), (3, 8, 4, 2))
FURTHER = ((6, 4, 3, 2), (4, 4, 4, 1))


def known_cases() -> list[Known]:
    ranks = [reduced_rank_regression(*sizes) for sizes in (*DESIGN, *FURTHER)]
    return [*ranks, regular(10), even_power(2), even_power(3)]


def cases(chosen: str, seeds: range) -> None:
    print("| case | λ | at the largest nβ | estimate | 95 % interval | error | gradients | CPU s | refused |")
    print("|---|---|---|---|---|---|---|---|---|")
    for known in known_cases():
        if chosen in known.name:
            for seed in seeds:
                started = time.process_time()
                estimate = LearningCoefficient(N_BETAS, LOCALISATION, seed=seed).measure(known.landscape)
                print(row(known, estimate, time.process_time() - started), flush=True)


def row(known: Known, estimate: Estimate, seconds: float) -> str:
    highest = max(estimate.levels, key=lambda level: (level.n_beta, -level.localisation))
    cells = [known.name, f"{known.coefficient:.4g}", f"{highest.value:.4g}"]
    if estimate.value is None or estimate.interval is None:
        cells += ["–", "–", "–"]
    else:
        low, high = estimate.interval
        error = estimate.value / known.coefficient - 1
        cells += [f"{estimate.value:.4g}", f"{low:.4g} … {high:.4g}", f"{error:+.1%}"]
    cells += [f"{estimate.gradient_evaluations / 1e6:.1f} M", f"{seconds:.0f}", "; ".join(estimate.refused) or "no"]
    return f"| {' | '.join(cells)} |"


def ways(seed: int, n_beta: float = 1000.0, chains: int = 64, budget: int = 16000) -> None:
    """Each way takes about `budget` gradient evaluations a chain. The reference is a long run of what is used."""
    known = reduced_rank_regression(5, 4, 5, 1)
    posterior = Posterior(known.landscape, n_beta, LOCALISATION)
    long = Sampling(chains=chains, draws=1000, warmup=100)
    show("reference", level_of(posterior, long, seed + 1))
    unadjusted = {
        step: langevin(known.landscape, n_beta, step, chains, budget, seed) for step in (4e-4, 2e-4, 1e-4, 5e-5)
    }
    for step, series in unadjusted.items():
        print(f"{f'SGLD, step {step:g}':38} {reading(series)}", flush=True)
    for coarse, fine in ((2e-4, 1e-4), (1e-4, 5e-5)):
        value = 2 * unadjusted[fine].mean() - unadjusted[coarse].mean()
        error = np.hypot(2 * standard_error(unadjusted[fine]), standard_error(unadjusted[coarse]))
        print(f"{f'SGLD, steps {coarse:g} and {fine:g} extrapolated':38} {value:.3f} ± {error:.3f}", flush=True)
    show("MALA", level_of(posterior, Sampling(chains, budget - 2000, 2000, acceptance=0.57, largest_steps=1), seed))
    show("Hamiltonian Monte Carlo", level_of(posterior, Sampling(chains=chains), seed))


def level_of(posterior: Posterior, sampling: Sampling, seed: int) -> Level:
    return Level.of(posterior, draw(posterior, sampling, torch.Generator().manual_seed(seed)))


def show(name: str, level: Level) -> None:
    print(
        f"{name:38} {level.value:.3f} ± {level.standard_error:.3f}  R̂ {level.r_hat:.3f}, of the distance "
        f"{level.distance_r_hat:.3f}, which is {level.distance:.2f}  {level.gradient_evaluations / 64:.0f} gradients a chain",
        flush=True,
    )


def langevin(landscape: Landscape, n_beta: float, step: float, chains: int, count: int, seed: int) -> Series:
    """nβ (L − L*) by draw and chain along w' = w − ε/2 ∇U + √ε ξ, every tenth of the last three quarters."""
    generator = torch.Generator().manual_seed(seed)
    parameters = landscape.point.repeat(chains, 1)
    kept: list[Tensor] = []
    for i in range(count):
        losses, gradients = landscape.losses_and_gradients(parameters)
        if i >= count // 4 and i % 10 == 0:
            kept.append(n_beta * (losses - landscape.loss_at_point))
        slopes = n_beta * gradients + LOCALISATION * (parameters - landscape.point)
        noise = torch.empty_like(parameters).normal_(generator=generator)
        parameters = parameters - step / 2 * slopes + step**0.5 * noise
    return torch.stack(kept).numpy()


def reading(series: Series) -> str:
    return f"{series.mean():.3f} ± {standard_error(series):.3f}  R̂ {split_r_hat(series):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cases", "ways"))
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    run: dict[str, Callable[[], None]] = {
        "cases": lambda: cases(arguments.only, seeds),
        "ways": lambda: ways(0),
    }
    run[arguments.what]()


if __name__ == "__main__":
    main()
