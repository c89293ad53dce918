"""Writes docs/cli.md from the help of every command: `python -m heldout.cli.reference docs/cli.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from heldout.cli import app

WIDTH = 98
HEADER = """# The command line

Written by `python -m heldout.cli.reference docs/cli.md` from the help of the commands; do not edit it by hand.
"""


def reference() -> str:
    """The page: the help of every command, in the order in which `heldout --help` lists them."""
    sections = [f"## `{name}`\n\n```text\n{text}\n```\n" for name, text in helps(get_command(app), "heldout", None)]
    return "\n".join([HEADER, *sections])


def helps(command: Any, name: str, parent: typer.Context | None) -> Iterator[tuple[str, str]]:
    """The path and the help of a command, and then of each command under it."""
    context = typer.Context(command, info_name=name, parent=parent, terminal_width=WIDTH)
    yield context.command_path, command.get_help(context)
    for child, under in getattr(command, "commands", {}).items():
        yield from helps(under, child, context)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
    else:
        print(reference(), end="")
