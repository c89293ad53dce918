"""The example of the page runs, a second time as well, and the page explains what is public."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from heldout.models import CheckpointSuite, checkpoints
from heldout.organisms import shipped_organisms

PAGE = (Path(__file__).parents[3] / "docs" / "checkpoints.md").read_text(encoding="utf-8")


def test_the_example_runs_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(shipped_organisms()[0] / "candidate", tmp_path / "models" / "candidate")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    printed: list[str] = []
    for _ in range(2):
        exec(compile(code, "docs/checkpoints.md", "exec"), {"__name__": "page"})
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    first, *cells = printed[0].splitlines()
    assert first == "CheckpointSuite('training', 5 checkpoints, step 0 to 1000)"
    values = [float(cell.split()[1]) for cell in cells]
    assert len(values) == 3
    assert values == sorted(values, reverse=True)


def test_the_page_names_what_is_public() -> None:
    methods = [name for name in vars(CheckpointSuite) if not name.startswith("_")]
    names = {"CheckpointSuite", "CheckpointWriter", "CellsFailed", "log_spaced_steps", "measure_along"}
    assert names < set(checkpoints.__all__)
    assert [name for name in names if name not in PAGE] == []
    assert [name for name in methods if name not in {"at", "digest"} and name not in PAGE] == []
