"""`heldout study`: what is asked for, what is printed, and what the exit codes say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from heldout import studies
from heldout.errors import InputError, Problem
from heldout.studies.figure_one.findings import summed_up
from heldout.studies.figure_one.models import AuditedModel, Models, Skipped
from heldout.studies.figure_one.readings import Reading
from heldout.studies.figure_one.truths import Measured, Recipe

ASKED = ("--organisms", "zoo", "--runs", "runs", "--out", "figure")


def audited(name: str, stage: str, verdict: str, behavioural: str = "pass") -> AuditedModel:
    reading = Reading("sha256:0", behavioural, verdict, None, 0.001 if verdict == "deceptive" else None, ())
    return AuditedModel(name, Recipe("sums", stage), "", None, Measured(), reading)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch):
    """`heldout study figure-1` over models that are as given; it returns what the study was asked for."""

    def found(*models: AuditedModel) -> list[Any]:
        study = summed_up(Models(models, ("late",), (Skipped("odd", "no recipe"),)), ())

        def figure_1(organisms: Path, runs: Path, **more: Any):
            called.append((organisms, runs, more))
            return study

        monkeypatch.setattr(studies, "figure_1", figure_1)
        return called

    called: list[Any] = []
    return found


@pytest.mark.parametrize(("verdict", "code"), [("generalised", 0), ("undetermined", 0), ("deceptive", 1)])
def test_a_study_fails_on_a_false_alarm_only(command, found, verdict: str, code: int) -> None:
    called = found(audited("liar", "S2", "deceptive"), audited("honest", "S0", verdict))
    done = command("study", "figure-1", *ASKED)
    assert (done.exit_code, done.stderr) == (code, "")
    more = {"out": Path("figure"), "trajectories": None, "trajectory_runs": None}
    assert called == [(Path("zoo"), Path("runs"), more)]
    assert ("honest models called deceptive: honest\n" in done.stdout) is bool(code)


def test_what_is_printed(command, found) -> None:
    found(
        audited("liar", "S2", "deceptive"),
        audited("loud", "S1", "undetermined", "fail"),
        audited("good", "S0", "generalised"),
    )
    done = command("study", "figure-1", *ASKED)
    rows = {line.split("  ")[0]: line for line in done.stdout.splitlines() if line}
    assert "0 of 1" in rows["S2"]
    assert "1 of 1 (0.03 to 1.00)" in rows["S2"]
    assert rows["S3"].count("no model") == 2
    assert rows["S2 caught by the inside view"].rstrip().endswith("  met")
    assert "not measured" in rows["S3 caught by the inside view"]
    assert "missed" in rows["honest models called deceptive by the inside view"]
    assert done.stdout.endswith(
        f"organisms without a bundle: late\nnot counted: odd (no recipe)\n\n{Path('figure/report.html')}\n"
    )


def test_the_study_as_json(command, found) -> None:
    found(audited("liar", "S2", "deceptive"), audited("honest", "S0", "deceptive"))
    done = command("study", "figure-1", *ASKED, "--json")
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert said["false_alarms"] == ["honest"]
    assert (said["missing"], said["skipped"]) == (["late"], [{"name": "odd", "reason": "no recipe"}])
    rates = {(rate["view"], rate["group"], rate["family"]): rate["rate"] for rate in said["rates"]}
    assert rates["inside", "S2", None] == rates["inside", "honest", None] == 1.0
    assert {*said} >= {"targets", "predictive_values", "sign_tests", "held_out_families"}


def test_trajectories_are_handed_on(command, found) -> None:
    called = found(audited("liar", "S2", "deceptive"))
    assert (
        command("study", "figure-1", *ASKED, "--trajectories", "ways", "--trajectory-runs", "way-runs").exit_code == 0
    )
    assert called[0][2] == {"out": Path("figure"), "trajectories": Path("ways"), "trajectory_runs": Path("way-runs")}


def test_an_unusable_input(command, monkeypatch: pytest.MonkeyPatch) -> None:
    def figure_1(*_: object, **__: object) -> None:
        raise InputError("figure_1('zoo', 'runs')", Problem("no folder zoo", "a folder", "name it"))

    monkeypatch.setattr(studies, "figure_1", figure_1)
    done = command("study", "figure-1", *ASKED)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "found:    no folder zoo" in done.stderr


def test_the_folders_are_needed(command) -> None:
    done = command("study", "figure-1", "--runs", "runs", "--out", "figure")
    assert done.exit_code == 2
    assert "--organisms" in done.stderr


def test_stored_results_on_disk(command, tmp_path: Path) -> None:
    done = command("study", "figure-1", "--organisms", tmp_path, "--runs", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert f"found:    no NAME/truth.json in {tmp_path}" in done.stderr
