"""Crosscoders where the truth is planted: which latents are said to be in one model alone, and which of them are.

    python benchmarks/crosscoders.py truth [--seeds 5]    dictionaries of two models, by norms and after latent scaling
    python benchmarks/crosscoders.py nulls [--runs 20]    models that share everything: nothing may be exclusive

Seeds below 100 were used to choose settings; the seeds here start at 100. Of each latent the atom is the one with whose
codes its own correlate most. A latent is falsely exclusive if its atom is in both models: shared, in another direction,
or weak in one. Recall is the share of the exclusive atoms for which some latent is found. One thread.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from heldout.statistics import proportion_interval
from heldout.techniques.dictionaries import (
    L1,
    BatchTopK,
    CrosscoderComparison,
    Latents,
    Limits,
    NullRuns,
    Training,
)
from heldout.techniques.dictionaries.planted import PlantedDictionary, PlantedPair
from heldout.techniques.dictionaries.training import train_together

ROWS, FIRST_SEED = 20000, 100
TRAINED, HELD = slice(0, 15000), slice(15000, None)
CASES = {
    "as designed": PlantedDictionary(),
    "noise 0.2": PlantedDictionary(noise=0.2),
    "widths 32 and 24": PlantedDictionary(widths=(32, 24)),
}
SPARSITIES = (BatchTopK(), BatchTopK(7.0), L1(), L1(0.2))
"""About as many codes a row as there are in truth, and more; the penalties that come nearest."""


@dataclass
class Tally:
    """Latents said to be exclusive, how many of them falsely, and exclusive atoms found, over seeds."""

    said: int = 0
    false: int = 0
    found: int = 0
    planted: int = 0
    of_kinds: Counter[str] | None = None

    def add(self, latents: Iterable[int], atoms: np.ndarray, pair: PlantedPair) -> None:
        chosen = [int(atoms[latent]) for latent in latents]
        right = [atom for atom in chosen if pair.kinds[atom].startswith("only")]
        wrong = [pair.kinds[atom] for atom in chosen if not pair.kinds[atom].startswith("only")]
        self.said += len(chosen)
        self.false += len(wrong)
        self.found += len(set(right))
        self.planted += sum(kind.startswith("only") for kind in pair.kinds)
        self.of_kinds = (self.of_kinds or Counter()) + Counter(kind.partition(" ")[0] for kind in wrong)

    def cells(self) -> list[str]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted((self.of_kinds or Counter()).items()))
        return [share(self.false, self.said), kinds or "–", share(self.found, self.planted)]


def truth(seeds: int, chosen: str) -> None:
    columns = (
        "dictionary",
        "crosscoder",
        "explained",
        "codes",
        "class by",
        "falsely exclusive",
        "which are",
        "recall",
        "CPU s",
    )
    print_row(columns)
    print_row(["---"] * len(columns))
    for case, sparsity in product(CASES, SPARSITIES):
        if chosen in f"{case}, {named(sparsity)}":
            started = time.process_time()
            by_norms, by_scaling, latents = tallies(CASES[case], sparsity, seeds)
            seconds = (time.process_time() - started) / seeds
            explained = np.mean([each.explained for each in latents])
            codes = np.mean([each.codes_a_row for each in latents])
            head = [case, named(sparsity), f"{explained:.2f}", f"{codes:.1f}"]
            print_row([*head, "norms", *by_norms.cells(), ""])
            print_row([*head, "and scaling", *by_scaling.cells(), f"{seconds:.0f}"])


def tallies(dictionary: PlantedDictionary, sparsity: BatchTopK | L1, seeds: int) -> tuple[Tally, Tally, list[Latents]]:
    """By norms and after latent scaling, and the latents of each seed."""
    by_norms, by_scaling, measured = Tally(), Tally(), list[Latents]()
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        pair = dictionary.draw(ROWS, seed)
        findings = CrosscoderComparison(sparsity, nulls=NullRuns(2, 0), seed=seed).compare(pair.a, pair.b)
        atoms, _ = pair.matches(findings.crosscoder.codes((pair.a, pair.b)))
        latents = findings.latents
        by_norms.add(np.flatnonzero(latents.scaling.one_sided & latents.measured), atoms, pair)
        by_scaling.add((*findings.of_class("only A"), *findings.of_class("only B")), atoms, pair)
        measured.append(latents)
    return by_norms, by_scaling, measured


def nulls(runs: int) -> None:
    """Models of one dictionary and the same codes: of equal activations, and of equal ones but for noise."""
    columns = (
        "models",
        "crosscoder",
        "runs",
        "one-sided by norms",
        "said to be exclusive",
        "runs with any",
        "95 % interval",
    )
    print_row(columns)
    print_row(["---"] * len(columns))
    for name, other_noise in (("identical", False), ("identical but for noise", True)):
        for sparsity in (BatchTopK(), L1()):
            found = null_runs(sparsity, runs, other_noise=other_noise)
            any_said = sum(said > 0 for _, said in found)
            low, high = proportion_interval(any_said, runs)
            totals = [str(sum(counts)) for counts in zip(*found, strict=True)]
            print_row([name, sparsity.name, str(runs), *totals, str(any_said), f"{low:.2f} … {high:.2f}"])


def null_runs(sparsity: BatchTopK | L1, runs: int, *, other_noise: bool) -> list[tuple[int, int]]:
    """Of each run, with a dictionary of its own: how many latents are one-sided by their norms, and how many are
    exclusive by the limits of an unrelated run on the first dictionary."""
    dictionary = PlantedDictionary(shared=52, rotated=0, weak=0, exclusive=0)
    seeds = list(range(FIRST_SEED, FIRST_SEED + runs))
    pairs = [beside_itself(dictionary.draw(ROWS, seed), dictionary.noise * other_noise, seed) for seed in seeds]
    order = np.random.default_rng(FIRST_SEED).permutation(ROWS)
    data = [(pairs[0][0], pairs[0][1][order]), *pairs]
    trained = train_together([(a[TRAINED], b[TRAINED]) for a, b in data], sparsity, Training(), [FIRST_SEED, *seeds])
    unrelated, *latents = [Latents.of(each, (a[HELD], b[HELD])) for each, (a, b) in zip(trained, data, strict=True)]
    limits = Limits.of_unrelated((unrelated,), NullRuns().level)
    return [(int((each.scaling.one_sided & each.measured).sum()), limits.exclusive(each)) for each in latents]


def beside_itself(pair: PlantedPair, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A model's activations twice, with other noise of this size in the place of its own; none leaves them equal."""
    if not noise:
        return pair.a, pair.a
    drawn = np.random.default_rng(seed).standard_normal(pair.a.shape)
    return pair.a, pair.codes @ pair.atoms_a + noise * drawn


def named(sparsity: BatchTopK | L1) -> str:
    return f"{sparsity.name} {sparsity.active if isinstance(sparsity, BatchTopK) else sparsity.penalty:g}"


def share(count: int, total: int) -> str:
    return f"{count} of {total}" + (f" ({count / total:.0%})" if total else "")


def print_row(cells: Iterable[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("truth", "nulls"))
    parser.add_argument("--only", default="", help="cases whose name has this in it, such as 'noise 0.2, l1'")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.what == "truth":
        truth(arguments.seeds, arguments.only)
    else:
        nulls(arguments.runs)


if __name__ == "__main__":
    main()
