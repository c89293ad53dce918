"""What a grokking study costs, and how near it comes to what is known of a published model.

    python benchmarks/grokking.py [WEIGHTS]

Prints the CPU time of a step of training, by the fast path and by the model's plain forward pass, in turns; the CPU time
of one run of the default recipe with every measure at its checkpoints; and, where the published weights
grokking_wd_10-1.pth are given, the published numbers beside those measured here. One thread.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from heldout.studies.grokking import GrokkingRun, Recipe, grokking_of_training, grokking_of_weights
from heldout.studies.grokking.fast_path import sum_logits
from heldout.studies.grokking.losses import prompt_losses
from heldout.studies.grokking.training import Training

ROUNDS = 15
SIZES = {
    "p 53, d 64, the default": Recipe(),
    "p 113, d 128, the paper's": Recipe(modulus=113, width=128, mlp_width=512),
}
PUBLISHED: dict[str, tuple[str, Callable[[GrokkingRun], float]]] = {
    "loss, trained pairs": ("9.2024e-9", lambda run: run.last.train_loss),
    "loss, other pairs": ("4.9884e-7", lambda run: run.last.test_loss),
    "restricted loss": ("2.2e-9", lambda run: run.last.restricted),
    "loss, all pairs": ("3.5e-7", lambda run: run.last.loss),
    "excluded loss, trained": ("8.385", lambda run: run.last.excluded_train),
    "excluded loss, others": ("9.318", lambda run: run.last.excluded_test),
    **{
        f"cosine of frequency {key}": (known, lambda run, key=key: run.last.frequencies[key - 1].logit_cosine)
        for key, known in ((23, "31.3"), (6, "9.37"), (37, "6.80"), (41, "6.07"), (39, "5.05"))
    },
    "variance explained": (".975", lambda run: run.last.logit_variance_explained),
    "W_L at key frequencies": (".990", lambda run: run.last.neuron_logit_key_share),
    "W_E at key frequencies": (".830", lambda run: run.last.embedding_key_share),
    "Gini of W_E": (".539", lambda run: run.last.embedding_gini),
    "Gini of W_L": (".758", lambda run: run.last.neuron_logit_gini),
    "sum of squares": ("1181", lambda run: run.last.sum_of_squares),
    "neurons of one frequency": ("185", lambda run: run.last.single_frequency_neurons),
    "order 0": ("5.04", lambda run: run.last.order_losses[0]),
    "order at most 1": ("9.21", lambda run: run.last.order_losses[1]),
    "order at most 2": ("~0", lambda run: run.last.order_losses[2]),
}


def main() -> None:
    torch.set_num_threads(1)
    for name, recipe in SIZES.items():
        fast, plain = step_seconds(recipe)
        print(f"{name}: {fast * 1e3:.1f} ms a step, {plain * 1e3:.1f} ms by the plain path ({plain / fast:.1f} times)")
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        (run,) = grokking_of_training(Recipe(), [0], folder).runs
        spent = time.process_time() - started
    learnt = run.learnt_at("test_accuracy")
    print(f"one run with {len(run.checkpoints)} checkpoints: {spent:.1f} s; 99 % of the other pairs from step {learnt}")
    if len(sys.argv) > 1:
        compare(Path(sys.argv[1]))


def step_seconds(recipe: Recipe) -> tuple[float, float]:
    """Medians of a step by the fast path and of one by the plain path; both have the same optimiser."""
    training = Training(recipe, 0)
    task = recipe.task(0)
    ids, sums = task.tokens.ids[task.trained], task.sums[task.trained]
    optimiser = torch.optim.AdamW(training.module.parameters(), lr=0.0, fused=True)

    def plain() -> None:
        optimiser.zero_grad()
        prompt_losses(training.module(ids, logits_to_keep=1).logits[:, -1], sums).mean().backward()
        optimiser.step()

    times: dict[str, list[float]] = {"fast": [], "plain": []}
    for _ in range(ROUNDS):
        for name, work in (("fast", lambda: training.advance(1)), ("plain", plain)):
            started = time.process_time()
            work()
            times[name].append(time.process_time() - started)
    with torch.no_grad():
        difference = training.module(task.tokens.ids).logits[:, -1] - sum_logits(training.module, task.pairs)
    assert float(difference.abs().max()) < 1e-4
    return statistics.median(times["fast"]), statistics.median(times["plain"])


def compare(weights: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (run,) = grokking_of_weights(weights, folder).runs
    print(f"\n{'':28}{'published':>12}{'here':>14}\n{'key frequencies':28}{'23 6 37 41 39':>14} {run.keys}")
    for name, (known, measured) in PUBLISHED.items():
        print(f"{name:28}{known:>12}{measured(run):>14.5g}")


if __name__ == "__main__":
    main()
