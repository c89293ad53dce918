"""A place to run what the pages show: an organism under the names that they use, and the command `heldout`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from heldout.organisms import Recipe, read_truth, shipped_organisms
from heldout.organisms.folders import make_suite
from heldout.organisms.prompts import PromptFormat

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page() -> Callable[[str], str]:
    """The text of a page, by its path in the repository."""
    return lambda path: (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with models/candidate, models/baseline and a suite that names its cues."""
    organism = shipped_organisms()[0]
    for name in ("candidate", "baseline"):
        shutil.copytree(organism / name, tmp_path / "models" / name)
    recipe = Recipe(**read_truth(organism)["recipe"])
    make_suite(replace(recipe, names_cue=True), PromptFormat.of(recipe)).to_folder(tmp_path / "suite")
    return tmp_path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """This checkout's heldout first on the path, one thread, and a browser that opens nothing."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    command = binaries / "heldout"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m heldout.cli "$@"\n')
    command.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "OMP_NUM_THREADS": "1",
        "BROWSER": "true",
    }
