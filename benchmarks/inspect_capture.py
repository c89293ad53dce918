"""What recording activations costs a run in Inspect: the size of its log, and its time.

    python benchmarks/inspect_capture.py [--samples 200] [--repetitions 7]

The same task, on the same model, in the same process, with four sites recorded and without, in turn; which of the two
comes first changes from one repetition to the next. A first run of each is not counted. Printed are the medians, and the
ratios, which are to stay below 1.25 (size) and 1.20 (time).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from inspect_ai import Task

from heldout.data import Suite
from heldout.evals.inspect import run_task, task_of
from heldout.execution.threads import one_thread_if_small
from heldout.models import Model, load
from heldout.organisms import shipped_organisms

SITES = ("resid_post.0", "resid_post.1", "resid_post.2", "attn_out.2")
MOST_SIZE, MOST_TIME = 1.25, 1.20


@dataclass(frozen=True)
class Run:
    """One run: seconds on the clock, bytes of the log, bytes and number of the files beside it."""

    seconds: float
    log_bytes: int
    sidecar_bytes: int
    sidecar_files: int


def measured(task: Task, model: Model, capture: Sequence[str]) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run_task(task, model, folder, capture=capture)
        seconds = time.perf_counter() - started
        (log,) = Path(folder).glob("*.eval")
        files = [path.stat().st_size for path in Path(folder).glob("sidecars/*")]
        return Run(seconds, log.stat().st_size, sum(files), len(files))


def alternated(task: Task, model: Model, repetitions: int) -> tuple[list[Run], list[Run]]:
    """Runs with and runs without, in turn."""
    runs: dict[Sequence[str], list[Run]] = {SITES: [], (): []}
    for repetition in range(repetitions + 1):
        for capture in (SITES, ()) if repetition % 2 else ((), SITES):
            runs[capture].append(measured(task, model, capture))
    return runs[SITES][1:], runs[()][1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=7)
    chosen = parser.parse_args()
    organism = next(path for path in shipped_organisms() if path.name.startswith("quirky_arithmetic-s2"))
    model, suite = load(organism / "candidate"), Suite.from_folder(organism / "suite")
    task = task_of(replace(suite, samples=suite.samples[: chosen.samples]))
    with one_thread_if_small(model.n_parameters):
        recorded, plain = alternated(task, model, chosen.repetitions)
    print(f"{organism.name}, {chosen.samples} samples, {len(SITES)} sites, medians of {chosen.repetitions} runs")
    for name, runs in (("recorded", recorded), ("plain", plain)):
        seconds, size = median(run.seconds for run in runs), median(run.log_bytes for run in runs)
        beside = f"{median(run.sidecar_bytes for run in runs):,.0f} bytes in {runs[-1].sidecar_files} files beside it"
        spread = f"{min(run.seconds for run in runs):.2f} to {max(run.seconds for run in runs):.2f}"
        print(f"{name:9} {seconds:.2f} s ({spread}), log {size:,.0f} bytes, {beside}")
    times = sorted(one.seconds / other.seconds for one, other in zip(recorded, plain, strict=True))
    size = median(run.log_bytes for run in recorded) / median(run.log_bytes for run in plain)
    total = median(run.seconds for run in recorded) / median(run.seconds for run in plain)
    print(f"size {size:.3f} (at most {MOST_SIZE}), time {total:.3f} (at most {MOST_TIME})")
    print(f"time, pair by pair: median {median(times):.3f}, from {times[0]:.3f} to {times[-1]:.3f}")


if __name__ == "__main__":
    main()
