"""The help: every command and option explains itself, and docs/cli.md says the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from heldout.cli import app
from heldout.cli.reference import reference

ROOT = Path(__file__).parents[2]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


ALL = dict(commands(get_command(app)))
LEAVES = {path: command for path, command in ALL.items() if not hasattr(command, "commands")}


def test_there_are_commands() -> None:
    names = {"audit", "check", "demo", "view", "verify", "techniques", "organisms", "study", "ledger"}
    assert {path[0] for path in ALL if path} == names
    below = {
        name: {path[1] for path in ALL if len(path) == 2 and path[0] == name}
        for name in ("organisms", "study", "ledger")
    }
    assert below == {
        "organisms": {"list", "build", "score", "trajectories"},
        "study": {
            "figure-1",
            "compare",
            "grokking",
            "faithfulness",
            "reward",
            "trajectory",
            "scaling",
            "diff",
            "crispness",
        },
        "ledger": {"show", "check"},
    }


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_option_and_argument_is_explained_in_the_reference(path: tuple[str, ...]) -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## `{' '.join(('heldout', *path))}`\n")[2].partition("\n## ")[0]
    assert section
    for parameter in ALL[path].params:
        assert parameter.help, parameter.name
        shown = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
        assert shown in section
        assert parameter.help.split()[0] in section


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_shows_an_example_and_its_exit_codes(path: tuple[str, ...]) -> None:
    text = LEAVES[path].help
    assert f"  heldout {' '.join(path)}" in text
    assert "Exit codes:\n  0 " in text


def test_the_reference_is_the_help() -> None:
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == reference(), "run: python -m heldout.cli.reference docs/cli.md"


def test_the_reference_is_written_where_it_is_asked_for(tmp_path: Path, environment: dict[str, str]) -> None:
    line = [sys.executable, "-m", "heldout.cli.reference", str(tmp_path / "cli.md")]
    subprocess.run(line, check=True, env=environment)
    assert (tmp_path / "cli.md").read_text(encoding="utf-8") == reference()


def test_help_needs_neither_torch_nor_arrow(environment: dict[str, str]) -> None:
    lines = [
        "import sys",
        "from heldout.cli import app",
        f"for path in {[*ALL]!r}:",
        "    app([*path, '--help'], standalone_mode=False)",
        "heavy = {'torch', 'transformers', 'pyarrow', 'sklearn', 'scipy', 'numpy'} & set(sys.modules)",
        "sys.exit(f'imported: {heavy}' if heavy else 0)",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Exit codes") == len(LEAVES) + 1


def test_without_arguments_the_help_is_printed(command) -> None:
    done = command()
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: heldout")


def test_version(command) -> None:
    done = command("--version")
    assert done.exit_code == 0
    assert done.stdout.startswith("heldout ")
