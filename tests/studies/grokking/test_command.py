"""`heldout study grokking`: what it asks the study for, what it prints, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from heldout.cli import app
from heldout.studies import grokking
from heldout.studies.grokking import GrokkingStudy, Recipe

Command = Callable[..., Result]
SIZES = {"modulus": 7, "width": 8, "heads": 2, "mlp-width": 12, "fraction": 0.5, "steps": 20, "checkpoints": 6}
TINY = [part for name, value in SIZES.items() for part in (f"--{name}", value)] + ["--workers", 1]


@pytest.fixture
def command() -> Command:
    def command(*arguments: object) -> Result:
        done = CliRunner().invoke(app, ["study", "grokking", *map(str, arguments)], prog_name="heldout")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return command


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, grokked: Any) -> list[Any]:
    """What the study was asked for; it answers with a model that has grokked."""
    calls: list[Any] = []

    def answer(*arguments: Any, **more: Any) -> GrokkingStudy:
        more.pop("progress")
        calls.append((*arguments, more))
        return GrokkingStudy((grokked[0],), None)

    monkeypatch.setattr(grokking, "grokking_of_training", answer)
    monkeypatch.setattr(grokking, "grokking_of_weights", answer)
    return calls


def test_the_defaults_are_those_of_the_recipe(command: Command, asked: list[Any]) -> None:
    done = command("--train", "--out", "out", "--workers", 3)
    assert (done.exit_code, done.stderr) == (0, "")
    assert asked == [(Recipe(), [0, 1, 2, 3, 4], Path("out"), {"workers": 3})]


def test_every_setting_is_handed_on(command: Command, asked: list[Any]) -> None:
    settings = ["--learning-rate", 1e-3, "--weight-decay", 1, "--epsilon", 1e-8, "--cool-down", 0, "--seeds", "2,5"]
    command("--train", "--out", "out", *TINY, *settings)
    recipe = Recipe(7, 8, 2, 12, 0.5, 1e-3, 1.0, 1e-8, 0.0, 20, 6)
    assert asked == [(recipe, [2, 5], Path("out"), {"workers": 1})]


def test_published_weights(command: Command, asked: list[Any]) -> None:
    assert command("--weights", "w.pth", "--out", "out").exit_code == 0
    assert command("--weights", "w.pth", "--out", "out", "--split-seed", 3, "--fraction", 0.4).exit_code == 0
    assert asked == [
        (Path("w.pth"), Path("out"), {"fraction": 0.3, "seed": 1}),
        (Path("w.pth"), Path("out"), {"fraction": 0.4, "seed": 3}),
    ]


def test_what_is_printed(command: Command, asked: list[Any], grokked: Any) -> None:
    done = command("--train", "--out", "out")
    lines = done.stdout.splitlines()
    assert f"seed-0: key frequencies {', '.join(map(str, grokked[0].keys))}" in lines
    assert any(line.startswith("memorisation") and "1 of 1" in line for line in lines)
    assert any(
        line.startswith("– Trained pairs are learnt for good before the others: in 1 of 1 seeds") for line in lines
    )
    assert lines[-1] == str(Path("out/report.html"))


def test_a_model_that_has_not_learnt(command: Command, tmp_path: Path) -> None:
    done = command("--train", "--seeds", 0, "--out", tmp_path, *TINY, "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["recipe"]["modulus"] == 7
    assert {check["holds"] for check in found["runs"][0]["checks"]} >= {False}
    assert "seed-0: training" in done.stderr
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([], "neither --train nor --weights"),
        (["--train", "--weights", "w.pth"], "--train and --weights"),
        (["--weights", "w.pth", "--steps", 5, "--seeds", 1], "--weights with --steps, --seeds"),
        (["--train", "--split-seed", 1], "--split-seed with --train"),
        (["--train", "--seeds", "4..1"], "--seeds 4..1"),
        (["--train", "--modulus", 8], "modulus 8"),
        (["--train", "--checkpoints", 5], "5 checkpoints of 2500 steps"),
        (["--weights", "absent.pth"], "no file at absent.pth"),
    ],
)
def test_unusable_requests(command: Command, tmp_path: Path, given: list[object], found: str) -> None:
    done = command("--out", tmp_path / "out", *given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"found:    {found}\n" in done.stderr
    assert not (tmp_path / "out").exists()
