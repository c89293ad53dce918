"""What commands print: results on stdout, as text or JSON; everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from heldout.errors import Problem

WIDTH_OF_FILES = 160
"""Columns of a table that goes into a file or a pipe."""


def json_text(value: Any) -> str:
    """One JSON document; paths become their text."""
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)


def print_json(value: Any) -> None:
    print(json_text(value))


def console() -> Console:
    """For results on stdout."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES, highlight=False, emoji=False)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()) -> None:
    """A table whose columns in `numbers` are aligned at the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(escape(heading), justify="right" if heading in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    console().print(table)


def problem_json(problem: Problem) -> dict[str, str]:
    return {"found": problem.found, "expected": problem.expected, "next": problem.next_step}
