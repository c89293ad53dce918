"""`heldout study trajectory`: what is asked for, what is printed, and what the exit codes say; and its page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from heldout.cli import app
from heldout.models import CheckpointSuite, CheckpointWriter
from heldout.studies import trajectory as room
from heldout.studies.trajectory import Failed, TrajectoryStudy

PAGE = (Path(__file__).parents[3] / "docs" / "trajectory.md").read_text(encoding="utf-8")
ASKED = ("study", "trajectory", "one", "two", "--suite", "sums", "--out", "here")


def command(*arguments: object) -> Any:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="heldout")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.fixture
def called(measured: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The study is one that is there; says what it was asked for. `found` can be exchanged."""
    said = SimpleNamespace(asked=None, found=measured.deceptive)

    def trajectory(checkpoints: list[str], **more: Any) -> TrajectoryStudy:
        said.asked = {"checkpoints": checkpoints, **more}
        return said.found

    monkeypatch.setattr(room, "trajectory", trajectory)
    return said


def test_what_is_asked_and_printed(called: SimpleNamespace) -> None:
    done = command(*ASKED, "--steps", "0,64,512", "--without", "edges", "--without", "path_length", "--workers", "4")
    assert (done.exit_code, done.stderr) == (0, "")
    asked = called.asked
    assert (asked["checkpoints"], asked["suite"], asked["out"]) == (["one", "two"], Path("sums"), Path("here"))
    assert (asked["steps"], asked["without"], asked["at_most"]) == ([0, 64, 512], ["edges", "path_length"], None)
    assert (asked["workers"], asked["learning_coefficient"]) == (2, False)
    (onsets,) = called.found.onsets
    assert f"step {onsets.step(onsets.override)}" in done.stdout
    assert "✓ Verified prompts are answered rightly from step" in done.stdout
    assert done.stdout.endswith(f"\n{Path('here/report.html')}\n")


def test_as_json(called: SimpleNamespace) -> None:
    done = command(*ASKED, "--json", "--learning-coefficient")
    assert called.asked["learning_coefficient"] is True
    assert json.loads(done.stdout)["onsets"] == called.found.to_json()["onsets"]


def test_what_failed_is_named(called: SimpleNamespace) -> None:
    course = replace(called.found.courses[0], failed=(Failed("behaviour", "step-000032", "not finite"),))
    called.found = replace(called.found, courses=(course,))
    done = command(*ASKED)
    assert done.exit_code == 1
    assert "not measured: deceptive, step-000032, behaviour: not finite" in done.stdout


def test_an_unusable_input(tmp_path: Path) -> None:
    done = command(*ASKED, "--steps", "all")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "found:    --steps all" in done.stderr
    assert command("study", "trajectory", "--suite", "sums", "--out", tmp_path).exit_code == 2


def test_the_page_of_the_study_runs(
    organism_runs: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Python of docs/trajectory.md, on four saved checkpoints."""
    run: CheckpointSuite = organism_runs.deceptive
    writer = CheckpointWriter(tmp_path / "runs" / "training")
    for checkpoint in run.log_spaced(4):
        writer.save(checkpoint.step, checkpoint.load())
    organism_runs.suite.to_folder(tmp_path / "suite")
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/trajectory.md", "exec"), {})
    assert capsys.readouterr().out.startswith("training ")
    assert (tmp_path / "trajectory" / "report.html").is_file()


def test_the_page_explains_what_is_written(measured: SimpleNamespace) -> None:
    for path in (measured.out / "deceptive").iterdir():
        name = path.name + ("/" if path.is_dir() else "")
        assert f"`{name}`" in PAGE
    explained = set(re.findall(r"`([a-z_]+)`", PAGE))
    quantities = {result.quantity for cell in measured.deceptive.courses[0].cells for result in cell}
    assert quantities - {"loss", "logit_difference"} <= explained
