"""The README's commands and its Python run as they stand, and its list of commands is that of the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from typer.main import get_command

from heldout.cli import app
from heldout.evidence import Bundle
from heldout.evidence.verdicts import Decision, Kind
from heldout.models import ARCHITECTURES

Page = Callable[[str], str]


def to_run(page: str, language: str) -> str:
    (block,) = re.findall(rf"<!-- run -->\n```{language}\n(.*?)```", page, flags=re.DOTALL)
    return block


def run(line: list[str], place: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=place, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_commands(page: Page, place: Path, environment: dict[str, str]) -> None:
    printed = run(["bash", "-euc", to_run(page("README.md"), "bash")], place, environment)
    assert "the access is right" in printed
    assert str(Bundle.open(place / "runs" / "one").verdicts()) in printed
    assert "runs/one: nothing differs at level hashes" in printed
    assert printed.endswith("runs/index.html\n")


def test_the_python(page: Page, place: Path, environment: dict[str, str]) -> None:
    code = to_run(page("README.md"), "python")
    assert len(code.splitlines()) <= 12
    printed = run([sys.executable, "-c", code], place, environment)
    assert printed.endswith(f"{Bundle.open(place / 'runs' / 'two').verdicts()}\n")
    assert (place / "runs" / "index.html").is_file()


def test_the_targets_of_make_are_there(page: Page) -> None:
    targets = re.findall(r"^make (\w+)", page("README.md"), flags=re.MULTILINE)
    assert targets == ["demo", "test"]
    for target in targets:
        assert f"\n{target}: " in page("Makefile")


def test_every_command_is_listed(page: Page) -> None:
    listed = re.findall(r"^\| `heldout (\w+)", page("README.md"), flags=re.MULTILINE)
    assert set(listed) == set(get_command(app).commands)


def test_every_verdict_is_explained(page: Page) -> None:
    for name in (*get_args(Decision), *get_args(Kind)):
        assert f"`{name}`" in page("README.md")


def test_every_family_is_named(page: Page) -> None:
    words = {"gpt2": "GPT-2", "gpt_neox": "GPT-NeoX", "gemma3_text": "Gemma 3", "phi3": "Phi-3", "olmo2": "OLMo 2"}
    limits = page("README.md").partition("## What it does not do")[2]
    for family in ARCHITECTURES:
        name = words.get(family, re.sub(r"(\d)(_moe)?$", r" \1", family).title())
        assert name in limits, family
