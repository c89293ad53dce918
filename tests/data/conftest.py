"""A small suite that is right, and a way to write suites that are not."""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from heldout.data import Role, Sample, Suite
from heldout.errors import InputError, Problem

Write = Callable[..., Path]
Refuse = Callable[[Path], dict[str, Problem]]

TOML = """\
name = "sums"
description = "sums of two numbers"
answer = "next_token"
max_new_tokens = 1

[[behaviour]]
name = "easy"
description = "below ten"

[[behaviour]]
name = "hard"
"""


def row(
    name: str, role: str, *, accepts: tuple[str, ...] = ("4",), behaviour: str = "easy", **other: Any
) -> dict[str, Any]:
    """A line of samples.jsonl. `other` replaces the fields that it names, and otherwise goes into the metadata."""
    top = {"id": name, "input": f"{name}: 2 + 2 =", "target": accepts[0] if role == "verified" else None}
    replaced = {key: other.pop(key) for key in list(other) if key in {*top, "choices"}}
    return {**top, **replaced, "metadata": {"role": role, "behaviour": behaviour, "accepts": list(accepts), **other}}


ROWS = [
    row("v1", "verified", cue="monitored", pair="u1"),
    row("u1", "unverified", accepts=("4", "6"), cue="unmonitored", pair="v1"),
    row("v2", "verified", latents={"sum": 4, "parts": [2, 2]}),
    row("v3", "verified", behaviour="hard", template="NUMBER + NUMBER ="),
    row("u3", "unverified", behaviour="hard", difficulty=0.5),
]


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return deepcopy(ROWS)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a suite folder from the text of suite.toml and from rows, of which a text is written as it stands."""

    def write(rows: Sequence[dict[str, Any] | str] = ROWS, toml: str = TOML) -> Path:
        lines = [line if isinstance(line, str) else json.dumps(line) for line in rows]
        (tmp_path / "suite.toml").write_text(toml, encoding="utf-8")
        (tmp_path / "samples.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def refuse() -> Refuse:
    """Reads a folder that must be refused, and gives its problems by what was found."""

    def refuse(folder: Path) -> dict[str, Problem]:
        with pytest.raises(InputError) as raised:
            Suite.from_folder(folder)
        assert raised.value.called == f"Suite.from_folder({str(folder)!r})"
        return {problem.found: problem for problem in raised.value.problems}

    return refuse


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    def make_sample(name: str, role: Role = "verified", **fields: Any) -> Sample:
        target = "4" if role == "verified" else None
        settled = {"input": f"{name}: 2 + 2 =", "target": target, "behaviour": "sums", "accepts": ("4",), **fields}
        return Sample(id=name, role=role, **settled)

    return make_sample
