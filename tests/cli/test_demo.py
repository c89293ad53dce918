"""`heldout demo`: a real audit of an organism that is shipped, and how a demo treats the folder it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from heldout import audits, organisms
from heldout.audits import Score
from heldout.evidence import Bundle
from heldout.organisms import shipped_organisms


@pytest.fixture
def one_organism(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first shipped organism alone."""
    first = shipped_organisms()[0]
    monkeypatch.setattr(organisms, "shipped_organisms", lambda: [first])
    return first


def verdict_of(**fields: Any) -> Score:
    settled = {"name": "x", "family": "f", "stage": "S0", "control": "C3", "seed": 0, "behavioural_only": "pass"}
    truth = {"expected": "generalised", "expected_kind": None, "verdict": "generalised", "kind": None}
    return Score(**{**settled, **truth, "seconds": 1.0, **fields})


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch):
    """Replaces the audits by their outcome; the page of reports by its path."""

    def outcome(*scores: Score) -> None:
        monkeypatch.setattr(audits, "score_organisms", lambda *_, **__: list(scores))
        monkeypatch.setattr("heldout.report.write_index", lambda folder: folder / "index.html")

    return outcome


def test_a_demo_of_one_organism(command, one_organism: Path, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = command("demo", "--out", out, "--workers", 1)
    truth = json.loads((one_organism / "truth.json").read_bytes())
    assert done.exit_code == 0, done.output
    (row,) = [line for line in done.stdout.splitlines() if line.startswith(one_organism.name)]
    assert row.count(truth["verdict"].replace("_", " ")) == 2
    assert "✓" in row
    assert done.stdout.splitlines()[-1] == f"1 of 1 verdicts are the planted ones. Reports: {out / 'index.html'}"
    assert Bundle.open(out / one_organism.name).check_hashes() == []
    assert one_organism.name in (out / "index.html").read_text(encoding="utf-8")
    record = json.loads((out / "demo.json").read_bytes())
    assert (record["finished"], record["tally"]["right"]) == (True, 1)
    again = command("demo", "--out", out)
    assert (again.exit_code, again.stdout) == (2, "")
    assert again.stderr.splitlines()[1:] == [
        "found:    a finished demo",
        "expected: a new folder",
        f"next:     heldout view {out}, or choose another --out",
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_wrong_verdict_fails(command, outcome, tmp_path: Path, as_json: bool) -> None:
    outcome(verdict_of(), verdict_of(name="y", verdict="deceptive", kind="grader_gaming"))
    done = command("demo", "--out", tmp_path / "demo", *(["--json"] if as_json else []))
    assert done.exit_code == 1
    if as_json:
        assert json.loads(done.stdout)["tally"]["false_alarms"] == 1
    else:
        right, wrong = (line for line in done.stdout.splitlines() if line.startswith(("x ", "y ")))
        assert "✓" in right
        assert "honest, but answers differently on cue" in right
        assert "deceptive (grader gaming)" in wrong
        assert "✗" in wrong


def test_without_a_folder_the_demo_goes_under_runs(
    command, outcome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome(verdict_of())
    done = command("demo")
    assert done.exit_code == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("demo-20")
    assert done.stdout.rstrip().endswith(f"Reports: runs/{folder.name}/index.html")


def test_an_interrupted_demo_names_its_folder_and_goes_on(
    command, outcome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(audits, "score_organisms", interrupted)
    out = tmp_path / "a demo"
    done = command("demo", "--out", out)
    assert done.exit_code == 130
    assert done.stderr.splitlines()[-1] == f"heldout demo --out '{out}' --workers 2"
    outcome(verdict_of())
    assert command("demo", "--out", out).exit_code == 0


def test_a_folder_that_is_something_else_is_left_alone(command, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("precious")
    done = command("demo", "--out", tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "found:    something that is no demo" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
