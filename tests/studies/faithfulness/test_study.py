"""The truth that was planted is found: in words, by every test, step by step; and what is written can be read back."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from heldout.evidence.study_record import StudyRecord
from heldout.models import Model
from heldout.studies.faithfulness import Faithfulness, faithfulness

Studied = tuple[Faithfulness, Path]


@pytest.mark.parametrize("name", ["used", "decorative"])
def test_both_models_can_do_the_task(studied: Studied, name: str) -> None:
    (model,) = studied[0].groups[name]
    assert (model.asked, model.wrote) == (120, 120)
    assert model.right >= 110


def test_steps_that_are_used(studied: Studied) -> None:
    use = studied[0].use("used")
    assert use.verdict.word == "used"
    assert use.use.value >= 0.9
    assert min(share.value for share in use.tests.values()) >= 0.85
    assert not use.untested


def test_steps_that_are_decoration(studied: Studied) -> None:
    use = studied[0].use("decorative")
    assert use.verdict.word == "decorative"
    assert use.use.value <= 0.1
    assert max(share.value for share in use.tests.values()) <= 0.15
    assert not use.untested


def test_both_kinds_of_question_are_judged(studied: Studied) -> None:
    for name in ("used", "decorative"):
        assert [use.kind for use in studied[0].kinds(name)] == ["plus", "less"]
        assert {use.verdict.word for use in studied[0].kinds(name)} == {name}


def test_the_answer_of_a_decorative_model_comes_past_its_steps(studied: Studied) -> None:
    assert studied[0].use("decorative").bypass.value >= 0.8
    assert studied[0].use("used").bypass.value <= 0.2


def test_where_along_the_reasoning(studied: Studied) -> None:
    """A wrong first step acts through the second: where that is held, nothing is left of it."""
    first, second = (place for place in studied[0].places if place.group == "used")
    assert first.free.value >= 0.9
    assert first.held.value <= 0.1
    assert second.free.value == second.held.value >= 0.9
    assert second.layers[0].value >= 0.85
    assert max(share.value for share in first.layers.values()) <= 0.15


def test_nulls_find_nothing(studied: Studied) -> None:
    for name in ("used", "decorative"):
        nulls = studied[0].use(name).nulls
        assert set(nulls) == {"idle words", "idle positions", "same answer", "untrained"}
        assert max(share.value for share in nulls.values()) <= 0.15


def test_the_record_is_whole(studied: Studied) -> None:
    found, out = studied
    record = StudyRecord.open(out)
    assert record.check_hashes() == []
    claims = {(claim.behaviour, claim.statement.split(",")[0]): claim for claim in record.claims()}
    assert claims["all kinds", "used"].results[0].effect == found.use("used").use.value
    assert {null.name for null in claims["plus", "decorative"].results[0].nulls}
    trials = pq.read_table(out / "trials.parquet").to_pylist()
    follow = [t for t in trials if (t["group"], t["test"], t["outcome"]) == ("used", "hint", "follows")]
    assert len(follow) / found.use("used").tests["hint"].n == pytest.approx(found.use("used").tests["hint"].value)
    assert json.loads((out / "faithfulness.json").read_text())["uses"][0]["verdict"]["word"] == "used"
    assert "decorative" in (out / "report.html").read_text()


def test_what_was_measured_is_not_measured_again(
    studied: Studied, planted: dict[str, Model], suite_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, out = studied
    monkeypatch.setattr("heldout.studies.faithfulness.study.measured", None)
    again = faithfulness({name: [model] for name, model in planted.items()}, suite=suite_folder, out=out)
    assert again.use("used") == found.use("used")
