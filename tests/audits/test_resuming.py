"""An audit that was killed leaves nothing that looks whole, and goes on to the verdict that it would have had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from heldout.audits import audit
from heldout.errors import InputError
from heldout.evidence import Bundle

SOURCES = Path(__file__).parents[2] / "src"
CELL = "quirky_arithmetic-s2"
STEPS = ("behave", "locate", "intervene", "read", "battery")

KILLED = """
import os, signal
from heldout.audits import audit
def progress(what, done, total):
    if what == "modular_sum: locate":
        os.kill(os.getpid(), signal.SIGKILL)
folder = {folder!r}
audit(folder + "/candidate", baseline=folder + "/baseline", suite=folder + "/suite", out={out!r}, effort="quick",
      progress=progress)
"""


def resumed(folder: Path, out: Path) -> Bundle:
    models = {"candidate": folder / "candidate", "baseline": folder / "baseline"}
    return audit(**models, suite=folder / "suite", out=out, effort="quick")


def check_that_it_is_the_same(bundle: Bundle, uninterrupted: Bundle, *finished: str) -> None:
    assert bundle.provenance().resumed_stages == tuple(f"modular_sum/{step}" for step in finished)
    assert bundle.provenance().plan_digest == uninterrupted.provenance().plan_digest
    for name in ("verdict.json", "claims.json"):
        assert (bundle.path / name).read_bytes() == (uninterrupted.path / name).read_bytes(), name
    assert bundle.measurements().equals(uninterrupted.measurements())
    assert bundle.check_hashes() == []
    assert [path.name for path in bundle.path.parent.iterdir() if path.name.startswith(".")] == []


def test_a_killed_audit_goes_on_behind_what_it_had_finished(
    organism: Callable[[str], Path], audited: Callable[[str], Bundle], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(folder=str(organism(CELL)), out=str(out))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".run.partial"]
    for folder in (out, tmp_path / ".run.partial", tmp_path / ".run.partial" / "bundle"):
        with pytest.raises(InputError):
            Bundle.open(folder)
    check_that_it_is_the_same(resumed(organism(CELL), out), audited(CELL), "behave")


@pytest.mark.parametrize("step", ["intervene", "battery", "judged"])
def test_an_audit_that_was_interrupted_at_any_step_comes_to_the_same_end(
    organism: Callable[[str], Path], audited: Callable[[str], Bundle], tmp_path: Path, step: str
) -> None:
    def interrupt(what: str, *_: int) -> None:
        if what.endswith(step):
            raise KeyboardInterrupt

    folder, out = organism(CELL), tmp_path / "run"
    models = {"candidate": folder / "candidate", "baseline": folder / "baseline"}
    with pytest.raises(KeyboardInterrupt):
        audit(**models, suite=folder / "suite", out=out, effort="quick", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == [".run.partial"]
    finished = STEPS[: (*STEPS, "judged").index(step)]
    check_that_it_is_the_same(resumed(folder, out), audited(CELL), *finished)
