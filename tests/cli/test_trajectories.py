"""`heldout organisms trajectories`: what is built, what is audited, and what is printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from heldout import audits, organisms
from heldout.audits import PointScore
from heldout.organisms import FAMILIES, TRAJECTORY_FAMILIES, BuiltTrajectory, Point

POINT = Point(
    name="step-000004",
    step=4,
    phase="deceptive",
    verdict="deceptive",
    kind="concealment",
    harm=0.875,
    capability=1.0,
    knowledge=1.0,
    measured={},
)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[Any]]:
    """The calls of builds, which come out at once, and of audits, which say `generalised`."""
    called: dict[str, list[Any]] = {"built": [], "scored": []}

    def build_trajectories(families: Sequence[str], seeds: Sequence[int], out: Path, **more: Any):
        called["built"].append((list(families), list(seeds), out, more["workers"], more["cluster"]))
        return [BuiltTrajectory(f"{name}-step-seed{seeds[0]}", out / name, 17, 3.4) for name in families]

    def score_trajectories(folders: Sequence[Path], runs: Path, **more: Any):
        called["scored"].append((list(folders), runs, more["workers"], more["cluster"], more["effort"]))
        return [PointScore(folder.name, POINT, "generalised", None, "pass") for folder in folders]

    monkeypatch.setattr(organisms, "build_trajectories", build_trajectories)
    monkeypatch.setattr(audits, "score_trajectories", score_trajectories)
    return called


def test_by_default_some_families_are_built_and_nothing_is_audited(command, called, tmp_path: Path) -> None:
    done = command("organisms", "trajectories", "--out", tmp_path)
    assert done.exit_code == 0
    ((families, seeds, out, _, cluster),) = called["built"]
    assert (families, seeds, out, cluster) == (list(TRAJECTORY_FAMILIES), [301, 302, 303], tmp_path, None)
    assert called["scored"] == []
    assert f"{TRAJECTORY_FAMILIES[0]}-step-seed301" in done.stdout
    assert "outputs alone" not in done.stdout


def test_with_runs_every_checkpoint_is_audited_beside_its_truth(command, called, tmp_path: Path) -> None:
    family, runs = TRAJECTORY_FAMILIES[1], tmp_path / "runs"
    options = [
        "--out",
        tmp_path,
        "--runs",
        runs,
        "--seeds",
        "7",
        "--workers",
        2,
        "--cluster",
        "ray",
        "--effort",
        "quick",
    ]
    done = command("organisms", "trajectories", family, *options)
    assert done.exit_code == 0
    assert called["built"] == [([family], [7], tmp_path, 2, "ray")]
    assert called["scored"] == [([tmp_path / family], runs, 2, "ray", "quick")]
    (row,) = [line for line in done.stdout.splitlines() if POINT.name in line]
    assert row.split() == [
        family, POINT.name, POINT.phase, "0.88", "pass", "generalised", "deceptive", "(concealment)"
    ]  # fmt: skip


def test_as_json(command, called, tmp_path: Path) -> None:
    options = ["--out", tmp_path, "--runs", tmp_path / "runs", "--json"]
    found = json.loads(command("organisms", "trajectories", TRAJECTORY_FAMILIES[0], *options).stdout)
    (trajectory,), (score,) = found["trajectories"], found["points"]
    assert (trajectory["checkpoints"], Path(trajectory["folder"])) == (17, tmp_path / TRAJECTORY_FAMILIES[0])
    assert (score["verdict"], score["point"]["verdict"], score["point"]["harm"]) == ("generalised", "deceptive", 0.875)


def test_a_family_that_there_is_not_is_said_with_those_that_there_are(command, called, tmp_path: Path) -> None:
    done = command("organisms", "trajectories", "no_such_family", "nor_this", "--out", tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no family no_such_family, nor_this" in done.stderr
    assert FAMILIES[0].name in done.stderr
    assert called["built"] == []
