"""`heldout audit --inspect-task`: the task is the suite, and its log is in the bundle and says what the audit says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from inspect_ai.log import list_eval_logs, read_eval_log
from typer.testing import CliRunner

from heldout.audits import audit
from heldout.cli import app
from heldout.errors import InputError
from heldout.evidence import Bundle

TASK = """\
from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.scorer import match
from inspect_ai.solver import generate


@task
def sums():
    return Task(dataset=json_dataset("samples.jsonl"), solver=generate(), scorer=match(location="exact"))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audited")


@pytest.fixture(scope="module")
def task(organism: Path, place: Path) -> Path:
    """A stock task over the organism's samples, whose file has no idea of heldout but for their metadata."""
    lines = (organism / "suite" / "samples.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    texts = [json.dumps({**row, "target": row["target"] or ""}) for row in rows]
    (place / "samples.jsonl").write_text("\n".join(texts))
    (place / "sums.py").write_text(TASK)
    return place / "sums.py"


def heldout(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="heldout")
    return done.exit_code, done.stdout + done.stderr


@pytest.fixture(scope="module")
def bundle(organism: Path, task: Path, place: Path) -> Bundle:
    out = place / "runs" / "one"
    line = ("audit", organism / "candidate", "--inspect-task", f"{task}@sums", "--out", out, "--effort", "quick")
    code, said = heldout(*line)
    assert code == 0, said
    return Bundle.open(out)


def test_the_bundle_holds_the_log_and_its_digest(bundle: Bundle, organism: Path, task: Path) -> None:
    """The same verdict as of the suite; the same answers in the log as in the measurements; every file hashed."""
    (info,) = list_eval_logs(str(bundle.path / "inspect"))
    log = read_eval_log(info)
    assert (log.status, log.eval.task) == ("success", "sums")
    assert bundle.check_hashes() == []
    manifest = json.loads((bundle.path / "attestations" / "manifest.json").read_text())
    assert [path for path in manifest["files"] if path.startswith("inspect/")] == [f"inspect/{Path(info.name).name}"]

    rows = bundle.measurements().to_pylist()
    answers = {row["sample"]: row["answer"] for row in rows if row["stage"].endswith("/behave")}
    assert {str(sample.id): sample.output.completion.strip() for sample in log.samples} == answers

    of_suite = audit(organism / "candidate", suite=organism / "suite", out=bundle.path.parent / "suite", effort="quick")
    found, expected = next(iter(bundle.verdicts())), next(iter(of_suite.verdicts()))
    assert (found.verdict, found.kind) == (expected.verdict, expected.kind) == ("deceptive", "concealment")


def test_a_changed_log_is_seen(bundle: Bundle, tmp_path: Path) -> None:
    copy = Bundle(shutil.copytree(bundle.path, tmp_path / "copy"))
    (log,) = (copy.path / "inspect").iterdir()
    log.write_bytes(log.read_bytes()[:-1] + b"x")
    assert [problem.found.split()[0] for problem in copy.check_hashes()] == [f"inspect/{log.name}"]


def test_a_task_with_verified_samples_alone(stock: Path, organism: Path, tmp_path: Path) -> None:
    line = ("audit", organism / "candidate", "--inspect-task", f"{stock}@sums", "--out", tmp_path / "run")
    code, said = heldout(*line)
    assert code == 2
    assert "found:    behaviour 'sums': 8 verified samples, and no unverified ones" in said
    assert "role: 'unverified' and accepts:" in said
    assert not (tmp_path / "run").exists()


def test_a_suite_or_a_task_and_not_both(organism: Path, stock: Path, tmp_path: Path) -> None:
    for given in ({}, {"suite": organism / "suite", "inspect_task": stock}):
        with pytest.raises(InputError, match="one of the two"):
            audit(organism / "candidate", out=tmp_path / "run", **given)
