"""The page on Inspect: its commands and its Python run as they stand, one after the other."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from heldout.evals.inspect.asked import SUPPORTED as SOLVERS
from heldout.evals.inspect.faithful import SUPPORTED as SCORERS
from heldout.evals.inspect.settings import HONOURED

Page = Callable[[str], str]


def run(line: list[str], place: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=place, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example_runs(page: Page, place: Path, environment: dict[str, str]) -> None:
    text = page("docs/inspect.md")
    task, example = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    (commands,) = re.findall(r"<!-- run -->\n```bash\n(.*?)```", text, flags=re.DOTALL)
    (place / "tasks.py").write_text(task, encoding="utf-8")
    binaries = place / "bin"
    (binaries / "inspect").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m inspect_ai "$@"\n')
    (binaries / "inspect").chmod(0o755)
    printed = run(["bash", "-euc", commands], place, {**environment, "INSPECT_DISPLAY": "none"})
    assert "runs/one: nothing differs at level hashes" in printed
    assert len(list((place / "runs" / "one" / "inspect").glob("*.eval"))) == 1
    readings = run([sys.executable, "-c", example], place, environment)
    assert re.fullmatch(r"\[\('match', [\d.]+\), \('reading', [\d.]+\)\]\n", readings)


def test_everything_that_is_supported_is_named(page: Page) -> None:
    text = page("docs/inspect.md")
    for name in ({*SCORERS, *SOLVERS} | HONOURED) - {"generate"}:
        assert f"`{name}" in text, name
