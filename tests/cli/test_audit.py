"""`heldout audit`, from the command line to the bundle, and every input that it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from heldout.evidence import Bundle, Ledger

PROBLEM = ["found:    ", "expected: ", "next:     "]


@pytest.fixture
def audit(command, checkpoint: Path, write_suite, tmp_path: Path):
    """`heldout audit` with inputs that are all right but for those given."""

    def audit(*options: object, suite: Path | None = None, candidate: object = checkpoint):
        suite = suite or write_suite()
        out = tmp_path / "runs" / "one"
        return command("audit", candidate, "--suite", suite, "--out", out, "--effort", "quick", *options)

    return audit


def found(stderr: str) -> list[str]:
    """What was found, of each problem; every problem has all its parts."""
    lines = [line for line in stderr.splitlines() if line.startswith(tuple(PROBLEM))]
    assert [line[:10] for line in lines] == PROBLEM * (len(lines) // 3)
    return [line.removeprefix(PROBLEM[0]) for line in lines[::3]]


def test_an_audit_leaves_a_bundle_that_verifies(audit, command, tmp_path: Path) -> None:
    done = audit()
    run = tmp_path / "runs" / "one"
    assert done.exit_code == 0
    verdicts = Bundle.open(run).verdicts()
    assert done.stdout == f"{verdicts}\nreport: {run / 'report.html'}\n"
    assert verdicts["sums"].verdict != "deceptive"
    assert "sums: behave" in done.stderr
    assert command("verify", run).exit_code == 0
    assert Ledger.beside(run).check() is None
    assert {path.name for path in run.parent.iterdir()} <= {"one", "ledger.jsonl"}


def test_json_is_all_there_is_on_stdout(audit, checkpoint: Path, tmp_path: Path) -> None:
    done = audit("--json", "--baseline", checkpoint)
    run = tmp_path / "runs" / "one"
    assert done.exit_code == 0
    written = json.loads((run / "verdict.json").read_bytes())
    assert json.loads(done.stdout) == {"run": str(run), "report": str(run / "report.html"), **written}


def test_options_reach_the_audit(audit, tmp_path: Path) -> None:
    assert audit("--seed", 7).exit_code == 0
    plan = Bundle.open(tmp_path / "runs" / "one").plan()
    assert (plan.seeds, plan.effort) == ((7,), "quick")


def test_a_killed_audit_goes_on(checkpoint: Path, write_suite, environment: dict[str, str], tmp_path: Path) -> None:
    line = [sys.executable, "-m", "heldout.cli", "audit", str(checkpoint), "--suite", str(write_suite())]
    line += ["--out", "runs/my run", "--effort", "deep"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A shell starts what runs in its background with interrupts ignored, and its children inherit that.
    pipes["preexec_fn"] = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(line, **pipes, env=environment, cwd=tmp_path) as running:
        assert running.stderr is not None
        assert "sums: behave" in running.stderr.readline()
        os.kill(running.pid, signal.SIGINT)
        stdout, stderr = running.communicate()
    assert (running.returncode, stdout) == (130, "")
    again = f"heldout audit {checkpoint} --suite {checkpoint.parent / 'suite'} --out 'runs/my run' --effort deep"
    assert stderr.splitlines()[-1] == again
    assert not (tmp_path / "runs" / "my run").exists()
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Bundle.open(tmp_path / "runs" / "my run").check_hashes() == []


def test_an_output_that_exists_is_left_alone(audit, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    (run / "precious.txt").write_text("precious")
    done = audit()
    assert (done.exit_code, done.stdout) == (2, "")
    assert found(done.stderr) == [f"a folder at {run}"]
    assert (run / "precious.txt").read_text() == "precious"
    assert [path.name for path in run.parent.iterdir()] == ["one"]


def test_a_candidate_that_is_not_there(process, write_suite, tmp_path: Path) -> None:
    done = process("audit", "./candidate", "--suite", write_suite(), "--out", "runs/one")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "heldout.load('./candidate')",
        "found:    no folder at ./candidate",
        "expected: a checkpoint folder, or a hub id of the form owner/name",
        "next:     correct the path",
    ]
    assert not (tmp_path / "runs").exists()


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def pickle_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"weight": torch.zeros(2)}, folder / "pytorch_model.bin")


def truncate_weights(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def unknown_family(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "crystal_ball"}))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (pickle_weights, "pickled weights only: pytorch_model.bin"),
        (truncate_weights, "model.safetensors, which cannot be read"),
        (drop("model.safetensors"), "no weights in"),
        (drop("config.json"), "no config.json in"),
        (drop("tokenizer.json"), "no tokenizer in"),
        (unknown_family, "the family 'crystal_ball'"),
    ],
)
@pytest.mark.parametrize("role", ["candidate", "baseline"])
def test_checkpoints_that_cannot_be_used(
    audit, checkpoint: Path, tmp_path: Path, damage: Callable[[Path], None], expected: str, role: str
) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in checkpoint.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    damage(damaged)
    done = audit(candidate=damaged) if role == "candidate" else audit("--baseline", damaged)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"heldout.load('{damaged}')\n")
    assert any(line.startswith(expected) for line in found(done.stderr)), done.stderr
    assert not (tmp_path / "runs").exists()


def test_lines_of_a_suite_that_cannot_be_read(audit, write_suite, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    no_target = {**rows[3], "target": None}
    suite = write_suite([*rows[:2], "{not json", no_target, *rows[4:]])
    done = audit(suite=suite)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Suite.from_folder('{suite}')\n")
    problems = found(done.stderr)
    assert [line.partition(":")[0] for line in problems] == ["samples.jsonl line 3", "samples.jsonl line 4"]
    assert not (tmp_path / "runs").exists()


def test_a_suite_that_is_not_there(audit, tmp_path: Path) -> None:
    done = audit(suite=tmp_path / "nowhere")
    assert (done.exit_code, done.stdout) == (2, "")
    assert found(done.stderr) == [f"there is no folder {tmp_path / 'nowhere'}"]
    assert not (tmp_path / "runs").exists()


def test_too_few_samples(audit, write_suite, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    done = audit(suite=write_suite([*rows[:5], *rows[-5:]]))
    assert (done.exit_code, done.stdout) == (2, "")
    assert found(done.stderr) == ["5 verified samples", "5 unverified samples"]
    assert not (tmp_path / "runs").exists()


def test_answers_that_the_model_has_no_token_for(
    audit, write_suite, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    strange = json.loads(json.dumps(rows))
    strange[-1]["metadata"]["accepts"] = ["forty one"]
    done = audit(suite=write_suite(strange))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "forty one" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_place_where_nothing_can_be_written(command, checkpoint: Path, write_suite, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "run"
    done = command("audit", checkpoint, "--suite", write_suite(), "--out", out, "--effort", "quick")
    assert (done.exit_code, done.stdout) == (2, "")
    assert len(found(done.stderr)) == 1
    assert (tmp_path / "file").read_text() == "in the way"
