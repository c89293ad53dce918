"""What one audit costs, with and without the behavioural evals.

400 verified and 400 unverified one-token prompts, a model of 0.2 million parameters.

    python benchmarks/audit_cost.py [ORGANISM]

Prints the wall time of the whole command (imports included), its peak memory, the forward passes that it took, and
the wall time of the steps of a second audit in this process, the last of which is the battery of behavioural evals.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from heldout.audits import audit
from heldout.organisms import shipped_organisms


def main() -> None:
    organism = Path(sys.argv[1]) if len(sys.argv) > 1 else shipped_organisms()[0]
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        command = [sys.executable, "-m", "heldout.cli", "audit", str(organism / "candidate"), "--out", str(run)]
        command += ["--baseline", str(organism / "baseline"), "--suite", str(organism / "suite")]
        started = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cost = json.loads((run / "provenance.json").read_text())["cost"]
        print(f"{organism.name}: {seconds:.1f} s of wall time, {used.ru_utime + used.ru_stime:.1f} s of CPU time")
        print(f"{used.ru_maxrss / 2**20:.2f} GB peak memory; forward passes over the suite:")
        print(", ".join(f"{name.replace('_forward_passes', '')} {passes:.1f}" for name, passes in cost.items()))
        steps = step_seconds(organism, Path(name) / "second")
        with_battery = sum(steps.values())
        print(", ".join(f"{step} {spent:.1f} s" for step, spent in steps.items()))
        print(f"all steps {with_battery:.1f} s, without the battery {with_battery - steps['battery']:.1f} s")


def step_seconds(organism: Path, run: Path) -> dict[str, float]:
    """The wall time of each step of an audit, which is told when a step begins and when the last one ends."""
    told: list[tuple[str, float]] = []

    def progress(what: str, *_: int) -> None:
        told.append((what.rpartition(": ")[2], time.monotonic()))

    baseline, suite = organism / "baseline", organism / "suite"
    audit(organism / "candidate", baseline=baseline, suite=suite, out=run, progress=progress)
    return {step: after - begun for (step, begun), (_, after) in pairwise(told)}


if __name__ == "__main__":
    main()
