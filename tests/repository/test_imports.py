"""What importing the package may do, and what it must not need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"


def printed(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("module", ["heldout", "heldout.report", "heldout.evidence", "heldout.cli"])
def test_opens_without_torch_and_says_nothing(module: str) -> None:
    assert printed(f"import sys, {module}; assert not {{'torch', 'transformers'}} & set(sys.modules)") == ""


def test_every_public_name_is_there() -> None:
    assert printed("import heldout; assert heldout.__all__; [getattr(heldout, name) for name in heldout.__all__]") == ""
