"""Reads files with one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from heldout.data.findings import Findings
from heldout.errors import InputError, Problem

Row = TypeVar("Row", bound=BaseModel)


def read_rows(called: str, file: Path, kind: type[Row]) -> list[Row]:
    """The lines of a file. Raises InputError naming all that do not fit, and for a file that is missing or empty."""
    if not file.is_file():
        raise InputError(called, Problem(f"no file {file}", "a file with one JSON object a line", "correct the path"))
    findings = Findings(called)
    rows = list(rows_of(file, kind, findings))
    findings.raise_if_any()
    if not rows:
        raise InputError(called, Problem(f"an empty {file.name}", "one JSON object a line", f"fill in {file.name}"))
    return rows


def rows_of(file: Path, kind: type[Row], findings: Findings) -> Iterator[Row]:
    # Not splitlines(): a text may hold U+2028 and other separators, which JSON does not escape.
    for line, text in enumerate(file.read_text("utf-8").split("\n"), 1):
        if not text.strip():
            continue
        try:
            yield kind.model_validate(json.loads(text, parse_constant=refuse_constant))
        except ValidationError as error:
            for misfit in error.errors():
                name = ".".join(str(part) for part in misfit["loc"]) or "the line"
                findings.add(f"{file.name} line {line}: {name}: {misfit['msg']}", *expected_of(kind))
        except ValueError as error:
            findings.add(f"{file.name} line {line}: {error}", *expected_of(kind))


def expected_of(kind: type[BaseModel]) -> tuple[str, str]:
    names = ", ".join(kind.model_json_schema()["properties"])
    return f"one JSON object a line, with {names}", "correct or remove these lines; docs/reward.md describes them"


def refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
