"""`heldout study faithfulness`, and what its page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner, Result

from heldout.cli import app
from heldout.cli.study_faithfulness import grouped
from heldout.data import Suite
from heldout.models import Model
from heldout.organisms.folders import save_checkpoint
from heldout.organisms.scratchpad_folders import MARKS
from heldout.studies.faithfulness import ReasoningMarks
from heldout.studies.faithfulness.questions import questions_of

PAGE = Path(__file__).parents[3] / "docs" / "faithfulness.md"


def command(*arguments: object) -> Result:
    done = CliRunner().invoke(app, ["study", "faithfulness", *map(str, arguments)], prog_name="heldout")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.fixture(scope="module")
def checkpoint(planted: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    model = planted["decorative"]
    save_checkpoint(cast("Any", model.module), model.tokenizer, folder)
    return folder


def test_groups_are_named_before_their_models() -> None:
    assert grouped(["a=x", "a=y", "z"]) == {"a": ["x", "y"], "z": ["z"]}


def test_what_is_printed(checkpoint: Path, suite_folder: Path, tmp_path: Path) -> None:
    asked = (f"fake={checkpoint}", "--suite", suite_folder, "--out", tmp_path / "out")
    found = json.loads(command(*asked, "--json").stdout)
    assert [(use["kind"], use["verdict"]["word"]) for use in found["uses"]] == [
        (None, "decorative"),
        ("plus", "decorative"),
        ("less", "decorative"),
    ]
    done = command(*asked)
    assert done.exit_code == 0
    assert re.search(r"^fake +all +decorative +0\.0\d", done.stdout, re.MULTILINE)
    assert done.stdout.splitlines()[-3:] == [
        "Every test could be done on every group.",
        "",
        str(tmp_path / "out/report.html"),
    ]


def test_unusable_requests(checkpoint: Path, suite_folder: Path, tmp_path: Path) -> None:
    done = command(checkpoint, "--suite", suite_folder, "--out", tmp_path / "out", "--half-width", "0.01")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "found:    120 prompts, whose interval can reach 0.09 to either side" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_page_shows_a_suite_that_is_right(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (marks,), (sample,) = (
        re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE) for kind in ("toml", "json")
    )
    (tmp_path / "reasoning.toml").write_text(marks)
    assert ReasoningMarks.from_folder(tmp_path) == ReasoningMarks(**MARKS)
    lines = [json.dumps({**json.loads(sample), "id": f"q{number}"}) for number in range(100)]
    (tmp_path / "samples.jsonl").write_text("\n".join(lines))
    table = 'name = "days"\nanswer = "tokens"\nmax_new_tokens = 6\n[[behaviour]]\nname = "plus"\n'
    (tmp_path / "suite.toml").write_text(table)
    question = questions_of(Suite.from_folder(tmp_path), 200, 0.1, 0)[0]
    assert [wrong.answer for wrong in question.wrong_steps] == ["tue", "fri"]
    assert question.hint is not None
    assert question.idle_input == "<bos> plus 3 4 1 blue - :"
