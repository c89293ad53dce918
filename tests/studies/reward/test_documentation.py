"""docs/reward.md: its example runs, and it explains what is read and written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import AliasChoices

from heldout.studies.reward.pairs import LEAST_GROUPS, PairRow
from heldout.studies.reward.planted_texts import QUALITY, SPURIOUS

PAGE = (Path(__file__).parents[3] / "docs" / "reward.md").read_text(encoding="utf-8")
FILES = ("slopes.parquet", "attributions.parquet", "ablations.parquet", "best_of_n.parquet")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    exec(compile(code, "docs/reward.md", "exec"), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [QUALITY, *SPURIOUS]


def test_every_file_and_field_is_explained() -> None:
    for name in (*FILES, "pairs.jsonl", "candidates.jsonl", "reward.json"):
        assert f"`{name}`" in PAGE
    for name, field in PairRow.model_fields.items():
        alias = field.validation_alias
        for said in alias.choices if isinstance(alias, AliasChoices) else [name]:
            assert f"`{said}`" in PAGE or f'"{said}"' in PAGE
    for split, least in LEAST_GROUPS.items():
        assert f"{least} in `{split}`" in PAGE or f"{least} groups in `{split}`" in PAGE
