"""`heldout study compare`: what is asked for, what is printed, and what the exit codes say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from heldout.cli import app
from heldout.studies import compare as room

ASKED = ("study", "compare", "one", "two", "--out", "here")


def command(*arguments: object):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="heldout")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.fixture
def called(made_up, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The study is made up; gives what it was asked for."""
    sides = np.random.default_rng(0).normal(size=(2, 40, 5))
    readings = [made_up.reading(label, {"resid_post.0": side}) for label, side in zip("AB", sides, strict=True)]
    readings.append(made_up.reading(made_up.twin, {"resid_post.0": sides[0] + sides[1]}))
    study = made_up.study(readings, made_up.items(40))
    asked: list[dict[str, Any]] = []

    def compare(models: list[str], **more: Any):
        asked.append({"models": models, **more})
        return study

    monkeypatch.setattr(room, "compare", compare)
    return asked


def test_what_is_asked_and_printed(called) -> None:
    done = command(*ASKED, "--suite", "sums", "--sites", "mlp_out", "--sites", "resid_post.1", "--position", "mean")
    assert (done.exit_code, done.stderr) == (0, "")
    (asked,) = called
    assert (asked["models"], asked["out"], asked["suite"]) == (["one", "two"], Path("here"), Path("sums"))
    assert (asked["sites"], asked["position"], asked["text"]) == (["mlp_out", "resid_post.1"], None, None)
    assert "A and B " in done.stdout
    assert "A₀  untrained" not in done.stdout
    assert "model A₀" in done.stdout
    assert done.stdout.endswith(f"\n{Path('here/report.html')}\n")


def test_as_json(called) -> None:
    done = command(*ASKED, "--text", "lines.txt", "--json")
    assert (called[0]["text"], called[0]["position"], called[0]["sites"]) == (Path("lines.txt"), -1, None)
    said = json.loads(done.stdout)
    assert (said["schema"], len(said["cells"])) == ("heldout.compare/1", 5)


def test_an_unusable_input(tmp_path: Path) -> None:
    done = command("study", "compare", "one", "two", "--out", tmp_path / "out")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "found:    neither a suite nor a text" in done.stderr
    assert command("study", "compare", "--out", tmp_path).exit_code == 2


def test_the_page_of_the_study_runs(organism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of docs/compare.md, on an organism under the names that the page uses."""
    page = (Path(__file__).parents[3] / "docs" / "compare.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    folder = organism("quirky_arithmetic-s2")
    (tmp_path / "models").mkdir()
    for name, target in (("models/candidate", "candidate"), ("models/baseline", "baseline"), ("suite", "suite")):
        (tmp_path / name).symlink_to(folder / target)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/compare.md", "exec"), {})
    assert (tmp_path / "comparison" / "report.html").is_file()
