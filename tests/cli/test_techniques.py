"""`heldout techniques`: the catalogue in words and as JSON, without torch, and with what is broken in it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from heldout.catalogue import IN_TREE


def test_every_technique_is_listed_with_all_that_is_known_of_it(command) -> None:
    done = command("techniques")
    assert done.exit_code == 0
    for entry in IN_TREE:
        for part in (entry.name, entry.method, entry.source, entry.assumes, entry.fails, entry.factory):
            assert part in done.stdout


def test_the_list_as_json(command) -> None:
    listed = json.loads(command("techniques", "--json").stdout)
    assert {entry["name"] for entry in listed} >= {entry.name for entry in IN_TREE}


def test_a_broken_technique_is_named_on_stderr(command, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(IN_TREE[0], name="theirs", origin="other 1.0", problem="it cannot be imported")
    monkeypatch.setattr(sys.modules["heldout.cli.techniques"], "entries", lambda: [*IN_TREE, broken])
    done = command("techniques")
    assert done.exit_code == 0
    assert done.stderr == "theirs of other 1.0 cannot be used: it cannot be imported\n"
    assert "theirs" not in done.stdout
    as_json = command("techniques", "--json")
    assert json.loads(as_json.stdout)[-1]["problem"] == "it cannot be imported"


def test_listing_does_not_import_torch(environment: dict[str, str]) -> None:
    lines = [
        "import sys",
        "from heldout.cli import app",
        "app(['techniques'], standalone_mode=False)",
        "assert 'torch' not in sys.modules",
    ]
    code = "\n".join(lines)
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, stdout=subprocess.DEVNULL)
