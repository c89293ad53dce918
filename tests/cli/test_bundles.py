"""`verify`, `view` and `ledger`: what a third party runs on what an audit left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from heldout.evidence import Ledger


def test_a_whole_bundle_verifies(command, bundle: Path) -> None:
    done = command("verify", bundle, "--level", "hashes")
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{bundle}: nothing differs at level hashes\n", "")


@pytest.mark.parametrize("change", ["edit", "remove", "add"])
def test_a_changed_bundle_does_not(command, bundle: Path, change: str) -> None:
    assert command("verify", bundle).exit_code == 0
    name = {"edit": "verdict.json", "remove": "plan.sha256", "add": "extra.txt"}[change]
    if change == "remove":
        (bundle / name).unlink()
    else:
        with (bundle / name).open("a") as file:
            file.write(" ")
    done = command("verify", bundle)
    assert done.exit_code == 1
    assert name in done.stdout
    as_json = command("verify", bundle, "--json")
    assert as_json.exit_code == 1
    found = json.loads(as_json.stdout)
    assert (found["passed"], found["level"]) == (False, "hashes")
    assert any(name in problem["found"] for problem in found["problems"])


@pytest.mark.parametrize("name", ["attestations/manifest.json", "plan.sha256", "verdict.json", "provenance.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_whatever_stands_in_a_damaged_file(command, bundle: Path, name: str, text: str) -> None:
    (bundle / name).write_text(text)
    done = command("verify", bundle)
    assert done.exit_code == 1
    assert done.stdout.startswith("found:    ")


@pytest.mark.parametrize("level", ["restat", "replay", "retrain", "everything"])
def test_levels_that_do_not_exist_are_refused(command, bundle: Path, level: str) -> None:
    done = command("verify", bundle, "--level", level)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"heldout verify {bundle} --level {level}",
        f"found:    level '{level}'",
        "expected: a level that exists: hashes",
        f"next:     heldout verify {bundle} --level hashes",
    ]


def test_what_is_no_bundle_cannot_be_verified(command, tmp_path: Path) -> None:
    assert command("verify", tmp_path / "missing").exit_code == 2
    done = command("verify", tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no attestations/manifest.json" in done.stderr


def test_view_prints_the_page(command, bundle: Path) -> None:
    done = command("view", bundle.parent, "--no-browser")
    assert (done.exit_code, done.stdout.strip()) == (0, str(bundle.parent / "index.html"))
    assert bundle.name in (bundle.parent / "index.html").read_text(encoding="utf-8")


def test_view_of_an_empty_folder(command, tmp_path: Path) -> None:
    done = command("view", tmp_path, "--no-browser")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no bundle in it" in done.stderr


@pytest.mark.parametrize("arguments", [("view", "--no-browser"), ("verify",)])
def test_bundles_are_read_without_torch(environment: dict[str, str], bundle: Path, arguments: tuple[str, ...]) -> None:
    """For people who have a bundle and no models."""
    lines = [
        "import sys",
        "sys.modules['torch'] = sys.modules['transformers'] = None",
        "from heldout.cli import app",
        f"app([*{arguments!r}, {str(bundle)!r}])",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_the_ledger_is_shown(command, ledger: Ledger) -> None:
    done = command("ledger", "show", ledger.path)
    assert done.exit_code == 0
    entries = [line.split() for line in done.stdout.splitlines()]
    assert [line[2] for line in entries if line[0].isdigit()] == ["fit", "train", "test"]
    statuses = [line[-1] for line in entries if line[0] == "sum"]
    assert statuses == ["trained-on", "queried(1)"]


def test_the_ledger_as_json_from_its_folder(command, ledger: Ledger) -> None:
    shown = json.loads(command("ledger", "show", ledger.path.parent, "--json").stdout)
    assert shown["entries"] == [
        entry.to_json() | {"lineage": list(entry.lineage), "data": []} for entry in ledger.read()
    ]
    assert [one["status"] for one in shown["instruments"]] == ["trained-on", "queried(1)"]


def test_a_whole_ledger_checks(command, ledger: Ledger) -> None:
    done = command("ledger", "check", ledger.path)
    assert done.exit_code == 0
    assert ledger.head() in done.stdout
    assert json.loads(command("ledger", "check", ledger.path, "--json").stdout) == {
        "passed": True, "problems": [], "entries": 3, "head": ledger.head(),
    }  # fmt: skip


def test_a_ledger_that_was_tampered_with_does_not(command, ledger: Ledger) -> None:
    lines = ledger.path.read_text().splitlines(keepends=True)
    ledger.path.write_text("".join([lines[0], lines[2]]))
    done = command("ledger", "check", ledger.path)
    assert done.exit_code == 1
    assert done.stdout.startswith("found:    entry 1 (line 2)")
    as_json = command("ledger", "check", ledger.path, "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["passed"] is False
    assert command("ledger", "show", ledger.path).exit_code == 2


@pytest.mark.parametrize("action", ["show", "check"])
def test_a_ledger_that_is_not_there(command, tmp_path: Path, action: str) -> None:
    done = command("ledger", action, tmp_path / "ledger.jsonl")
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"no file {tmp_path / 'ledger.jsonl'}" in done.stderr
