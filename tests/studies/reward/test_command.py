"""`heldout study reward`: what it asks the study for, what it prints, and how it ends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from heldout.cli import app
from heldout.organisms.words import tokenizer_of_words
from heldout.studies import reward as room
from heldout.studies.reward import PlantedReward, RewardStudy
from heldout.studies.reward.planted import new_classifier, write_pairs
from heldout.studies.reward.planted_texts import VOCABULARY

Command = Callable[..., Result]


@pytest.fixture
def command() -> Command:
    def command(*arguments: object) -> Result:
        done = CliRunner().invoke(app, ["study", "reward", *map(str, arguments)], prog_name="heldout")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return command


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, study: RewardStudy) -> list[Any]:
    """What the study was asked for; it answers with the planted model."""
    calls: list[Any] = []

    def answer(*arguments: Any, **more: Any) -> RewardStudy:
        more.pop("progress")
        calls.append((*arguments, more))
        return study

    monkeypatch.setattr(room, "reward", answer)
    return calls


@pytest.fixture
def untrained(tmp_path: Path) -> Path:
    """A folder with pairs, and a reward model that learnt nothing."""
    new_classifier(PlantedReward(seed=0, width=16)).save_pretrained(tmp_path / "model")
    tokenizer_of_words(VOCABULARY).save_pretrained(str(tmp_path / "model"))
    write_pairs(tmp_path / "pairs", seed=0)
    return tmp_path


def test_every_option_is_handed_on(command: Command, asked: list[Any]) -> None:
    done = command("a", "--before", "b", "--pairs", "p", "--out", "o", "--seed", 3)
    assert (done.exit_code, done.stderr) == (0, "")
    settings = {"out": Path("o"), "before": "b", "seed": 3, "allow_remote_code": False}
    assert asked == [(["a"], Path("p"), settings)]


def test_it_prints_slopes_and_what_they_mean(command: Command, asked: list[Any]) -> None:
    printed = command("a", "--pairs", "p", "--out", "o").stdout
    assert "agreement" in printed
    assert "completeness error" in printed
    assert "punishes format" in printed
    assert printed.rstrip().endswith("report.html")


def test_json_is_the_studys_own(command: Command, asked: list[Any], study: RewardStudy) -> None:
    printed = json.loads(command("a", "--pairs", "p", "--out", "o", "--json").stdout)
    assert printed == json.loads(json.dumps(study.to_json()))


def test_a_model_of_more_than_one_output_ends_with_2(command: Command, untrained: Path) -> None:
    config = untrained / "model" / "config.json"
    labels = {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}}
    config.write_text(json.dumps({**json.loads(config.read_text()), **labels}))
    done = command(untrained / "model", "--pairs", untrained / "pairs", "--out", untrained / "out")
    assert done.exit_code == 2
    assert "2 outputs" in done.stderr
    assert not (untrained / "out").exists()


@pytest.mark.parametrize(("value", "said"), [(3e38, "NaN or infinite"), (0.0, "scores that depend on the text")])
def test_scores_without_meaning_end_with_2(command: Command, untrained: Path, value: float, said: str) -> None:
    model: Any = new_classifier(PlantedReward(seed=0, width=16))
    model.get_parameter("score.weight").data.fill_(value)
    model.save_pretrained(untrained / "model")
    done = command(untrained / "model", "--pairs", untrained / "pairs", "--out", untrained / "out")
    assert done.exit_code == 2
    assert said in done.stderr


def test_pairs_that_are_missing_end_with_2(command: Command, untrained: Path) -> None:
    shutil.rmtree(untrained / "pairs")
    done = command(untrained / "model", "--pairs", untrained / "pairs", "--out", untrained / "out")
    assert done.exit_code == 2
    assert "pairs.jsonl" in done.stderr or "no file" in done.stderr


def test_two_models_are_not_compared_with_one_before(command: Command, untrained: Path) -> None:
    model = untrained / "model"
    done = command(model, model, "--before", model, "--pairs", untrained / "pairs", "--out", untrained / "out")
    assert done.exit_code == 2
    assert "compare two models at a time" in done.stderr
