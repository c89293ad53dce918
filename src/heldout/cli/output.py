"""What commands print: results on stdout, as text or JSON; everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from heldout.errors import Problem

if TYPE_CHECKING:
    from heldout.evidence import Claim

PAGE = "report.html"
WIDTH_OF_FILES = 160
"""Columns of a table that goes into a file or a pipe."""


class Study(Protocol):
    """What a study returns."""

    def to_json(self) -> dict[str, Any]: ...


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


def print_study(found: Study, out: Path, json: bool, tell: Callable[[Any], None]) -> None:
    """What a study found, for a program, or as `tell` prints it for a person, with the place of its page."""
    if json:
        print_json(found.to_json())
    else:
        tell(found)
        print(f"\n{out / PAGE}")


def print_claims(claims: Iterable[Claim]) -> None:
    """Each statement, whether it was found, and why it was not tested."""
    for claim in claims:
        missing = f" Not tested: {claim.missing}." if claim.missing else ""
        print(f"{'✓' if claim.found else '–'} {claim.statement}{missing}")


def problem_json(problem: Problem) -> dict[str, str]:
    return {"found": problem.found, "expected": problem.expected, "next": problem.next_step}
