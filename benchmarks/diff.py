"""Whether `heldout study diff` finds what was planted, and nothing where nothing was.

    python benchmarks/diff.py [--seeds 5] [--null-runs 20] [--crosscoder]

Plants a topic with 0, 0.25, 0.5 and 1 times as much text of other kinds beside it, and prints the topic's rank among eight
topics by the activation difference lens, its push, the shift and the claims beside four fine-tunes on nothing new. Then
null runs: identical models under another text and seed, and two seeds of one fine-tune beside four other seeds. One
thread; about a minute a seed.
"""

from __future__ import annotations

import argparse
import copy
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from heldout.models import Model
from heldout.statistics import mean_interval, proportion_interval
from heldout.studies.diff import ModelDiff, diff
from heldout.studies.diff.language import TOPICS, colour_suite, everyday_documents
from heldout.studies.diff.planted import plant_nothing, plant_topic, train_base
from heldout.studies.diff.prompts import Prompts, lines_as_prompts

MIXINGS = (0.0, 0.25, 0.5, 1.0)
REFERENCES = 4
POOL = 8
TEXTS = 200
FIRST_SEED = 1000
"""Seeds below were developed on."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--null-runs", type=int, default=20)
    parser.add_argument("--crosscoder", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    bases = {seed: train_base(seed) for seed in range(FIRST_SEED, FIRST_SEED + asked.seeds)}
    planted_truth(bases, asked.crosscoder)
    null_runs(bases, asked.null_runs, asked.crosscoder)


def planted_truth(bases: dict[int, Model], crosscoder: bool) -> None:
    """A topic a base, each with its own references."""
    rows: dict[float, list[dict[str, float]]] = {mixing: [] for mixing in MIXINGS}
    claimed: dict[float, Counter[str]] = {mixing: Counter() for mixing in MIXINGS}
    for place, (seed, base) in enumerate(bases.items()):
        topic = list(TOPICS)[place % len(TOPICS)]
        references = [plant_nothing(base, seed=seed * 100 + number) for number in range(REFERENCES)]
        for mixing in MIXINGS:
            tuned = plant_topic(base, topic, mixing=mixing, seed=seed * 100 + 50)
            found = beside(base, tuned, references, topic, seed, crosscoder)
            rows[mixing].append(reading_of(base, found, topic))
            claimed[mixing].update(claim.id.replace(f"colours-of-{topic}", "the suite") for claim in found.found)
            names = [claim.id for claim in found.found]
            print(f"base {seed}, {topic}, mixing {mixing:g}: {rows[mixing][-1]}, found {names}", flush=True)
    print("\nmixing  topic first  topic push, logits          shift, of the norm")
    for mixing, read in rows.items():
        first = sum(row["rank"] == 1 for row in read)
        print(f"{mixing:6g}  {first:2} of {len(read):2}     {spread(read, 'push')}    {spread(read, 'shift')}")
    for mixing, counts in claimed.items():
        print(f"found at mixing {mixing:g}, in runs of {len(bases)}: {dict(counts)}")


def null_runs(bases: dict[int, Model], runs: int, crosscoder: bool) -> None:
    """Nothing may be found: each run that finds anything is named."""
    kinds: dict[str, list[str]] = {"identical models": [], "two seeds of one fine-tune": []}
    pools = [
        (base, topic, pool_of(base, topic, seed)) for (seed, base), topic in zip(bases.items(), TOPICS, strict=False)
    ]
    for run in range(runs):
        base, topic, pool = pools[run % len(pools)]
        chosen = [pool[place] for place in np.random.default_rng(run).permutation(len(pool))]
        twin = Model(copy.deepcopy(base.module), base.tokenizer, name="the same")
        same = beside(base, twin, chosen[:REFERENCES], topic, run, crosscoder)
        noise = beside(chosen[0], chosen[1], chosen[2 : REFERENCES + 2], topic, run, crosscoder)
        for name, found in zip(kinds, (same, noise), strict=True):
            kinds[name] += [f"run {run}: {claim.statement}" for claim in found.found]
        p_values = [null.p_value for claim in noise.claims for null in claim.results[0].nulls[:1]]
        print(f"null run {run}: {len(same.found)} and {len(noise.found)} found; p of two seeds {np.round(p_values, 3)}",
              flush=True)  # fmt: skip
    for name, statements in kinds.items():
        alarms = len({statement.split(":")[0] for statement in statements})
        low, high = proportion_interval(alarms, runs)
        print(f"{name}: anything found in {alarms} of {runs} runs (95 % interval {low:.2f} to {high:.2f})")
        print("\n".join(statements))


def pool_of(base: Model, topic: str, seed: int) -> list[Model]:
    """One fine-tune under several seeds. Runs draw from them, so that runs of one base are not independent."""
    return [plant_topic(base, topic, mixing=0, seed=seed * 100 + 60 + number) for number in range(POOL)]


def beside(
    base: Model, tuned: Model, references: Sequence[Model], topic: str, seed: int, crosscoder: bool
) -> ModelDiff:
    suite = colour_suite(topic, random.Random(seed))
    return diff(base, tuned, suite=suite, text=everyday(seed), references=references, draws=49, seed=seed,
                crosscoder=crosscoder)  # fmt: skip


def everyday(seed: int) -> Prompts:
    lines = everyday_documents(TEXTS, random.Random(seed + 7))
    return lines_as_prompts("benchmark", "everyday text", lines, TEXTS, seed)


def reading_of(base: Model, found: ModelDiff, topic: str) -> dict[str, float]:
    reading = found.tuned.lens[0]
    pushes = {
        name: float(np.mean([reading.pushes[base.answer_token(word)] for word in each.words]))
        for name, each in TOPICS.items()
    }
    rank = sorted(pushes, key=lambda name: -pushes[name]).index(topic) + 1
    return {"rank": rank, "push": round(pushes[topic], 4), "shift": round(reading.shift, 4)}


def spread(rows: list[dict[str, float]], quantity: str) -> str:
    values = np.array([row[quantity] for row in rows])
    low, high = mean_interval(values) or (np.nan, np.nan)
    return f"{values.mean():6.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
