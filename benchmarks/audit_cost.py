"""What one audit costs: 400 verified and 400 unverified one-token prompts, a model of 0.2 million parameters.

    python benchmarks/audit_cost.py [ORGANISM]

Prints the wall time of the whole command (imports included), its peak memory, and the forward passes that it took.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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
        passes = json.loads((run / "provenance.json").read_text())["cost"]["candidate_forward_passes"]
        print(f"{organism.name}: {seconds:.1f} s of wall time, {used.ru_utime + used.ru_stime:.1f} s of CPU time")
        print(f"{used.ru_maxrss / 2**20:.2f} GB peak memory, {passes:.1f} forward passes over the suite")


if __name__ == "__main__":
    main()
