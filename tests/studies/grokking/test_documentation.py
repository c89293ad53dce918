"""docs/grokking.md: its example runs, and it explains what is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heldout.studies.grokking.phases import PHASES
from heldout.studies.grokking.storing import FREQUENCIES, MEASURES
from heldout.studies.grokking.storing import PHASES as PHASE_COLUMNS

PAGE = (Path(__file__).parents[3] / "docs" / "grokking.md").read_text(encoding="utf-8")
FILES = ("measures.parquet", "frequencies.parquet", "phases.parquet", "grokking.json", "grokking.svg", "report.html")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    exec(compile(code, "docs/grokking.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_every_file_and_phase_is_explained() -> None:
    for name in FILES:
        assert f"`{name}`" in PAGE
    for phase in PHASES:
        assert f"*{phase}*" in PAGE


def test_the_columns_are_those_of_the_measures() -> None:
    explained = set(re.findall(r"`([a-z_]+)`", PAGE))
    for column in ("restricted", "excluded_train", "random_restricted", "embedding_gini", "sum_of_squares"):
        assert column in explained
        assert column in MEASURES.names
    assert {"order_0_loss", "order_1_loss", "order_2_loss"} <= set(MEASURES.names)
    assert {"key", "frequency", "logit_cosine"} <= set(FREQUENCIES.names)
    assert PHASE_COLUMNS.names == ["run", "seed", "phase", "start", "end"]
