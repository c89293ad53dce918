"""The study as a whole: what was planted is found beside references, and nothing where there is nothing."""

from __future__ import annotations

import copy
import json
from itertools import combinations
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from heldout.cli.study_diff import diff_command
from heldout.errors import InputError
from heldout.evidence.study_record import StudyRecord
from heldout.models import Model
from heldout.models.quiet_saving import save_quietly
from heldout.organisms.training import new_model, small_config
from heldout.studies.diff import ModelDiff, diff
from heldout.studies.diff.judging import NO_REFERENCE
from heldout.studies.diff.language import everyday_documents, vocabulary, word_tokenizer
from heldout.studies.diff.planted import plant_topic
from heldout.studies.diff.prompts import Prompts


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diff")


@pytest.fixture(scope="module")
def found(base: Model, tuned: Model, twins: list[Model], suite, everyday: Prompts, out: Path) -> ModelDiff:
    return diff(base, tuned, suite=suite, text=everyday, references=twins, draws=1, prompts=24, out=out)


def test_the_planted_difference_is_found(found: ModelDiff) -> None:
    claims = {claim.id: claim for claim in found.claims}
    assert claims["activations"].found
    assert claims["divergence on everyday text"].found
    assert found.not_attributed is None or not claims["behaviour"].found


def test_identical_models_differ_in_nothing(base: Model, twins: list[Model], suite, everyday: Prompts) -> None:
    same = diff(base, copy_of(base), suite=suite, text=everyday, references=twins[:2], prompts=24)
    assert same.identical
    assert same.found == () == same.shares == same.spectra
    assert all(result.effect == 0 for claim in same.claims for result in claim.results)


def test_seeds_of_one_fine_tune_differ_by_noise(twins: list[Model], suite, everyday: Prompts) -> None:
    """Each pair beside the other seeds: differences are measured, and none is found."""
    for one, other in list(combinations(range(len(twins)), 2))[:2]:
        rest = [twin for place, twin in enumerate(twins) if place not in (one, other)]
        noise = diff(twins[one], twins[other], suite=suite, text=everyday, references=rest, draws=1, prompts=24)
        assert noise.tuned.relative_norm > 0
        assert noise.found == ()
        assert noise.shares == ()


def test_the_topic_fades_as_other_text_is_mixed_in(
    base: Model, found: ModelDiff, suite, everyday: Prompts, planted
) -> None:
    mixed = plant_topic(base, planted.topic, mixing=1, seed=104, schedule=planted.schedule)
    shift = diff(base, mixed, suite=suite, text=everyday, draws=1, prompts=24).tuned.lens[0].shift
    assert shift < 0.7 * found.tuned.lens[0].shift


def test_without_references_nothing_is_found(base: Model, tuned: Model, suite, everyday: Prompts) -> None:
    alone = diff(base, tuned, suite=suite, text=everyday, draws=1, prompts=24)
    assert alone.found == ()
    assert {claim.missing for claim in alone.claims} == {NO_REFERENCE}
    assert alone.shares != ()


def test_the_record_is_whole(found: ModelDiff, out: Path) -> None:
    record = StudyRecord.open(out)
    assert record.check_hashes() == []
    assert record.claims() == found.claims
    said = json.loads((out / "diff.json").read_text())
    assert said["schema"] == "heldout.diff/1"
    page = (out / "report.html").read_text()
    for drawn in ("Weights", "Activations", "Predictions"):
        assert f"<h3>{drawn}</h3>" in page
    asked = [claim for claim in found.claims if not claim.id.startswith("component ")]
    assert f"of {len(asked)} questions found a difference" in page.replace("\u00a0", " ")


def test_models_of_different_shapes_are_compared_where_they_can_be(base: Model, suite, everyday: Prompts) -> None:
    wider = Model(new_model(small_config("llama", len(vocabulary()), 64, 3), 0).eval(), word_tokenizer(), name="wider")
    mixed = diff(base, wider, suite=suite, text=everyday)
    assert [each.mean > 0 for each in mixed.tuned.divergences] == [True, True]
    assert mixed.tuned.change is not None
    assert mixed.tuned.lens == () == mixed.shares == mixed.spectra
    said = " ".join(mixed.left_out)
    assert "no counterpart of the same shape" in said
    assert "interchange of components" in said
    assert "activation differences" in said


def test_models_of_different_vocabularies_are_compared_by_weights_alone(
    base: Model, tuned: Model, everyday: Prompts
) -> None:
    tokenizer = word_tokenizer()
    tokenizer.add_tokens(["another"])
    other = Model(tuned.module, tokenizer, name="other words")
    mixed = diff(base, other, text=everyday)
    assert mixed.tuned.divergences == () == mixed.shares
    assert mixed.tuned.change is None
    assert mixed.spectra != ()
    assert mixed.left_out == (
        "behaviour, divergence, activation differences and interchange: the models have different vocabularies",
    )


@pytest.mark.parametrize(
    ("given", "found"), [({}, "neither a suite nor a text"), ({"text": "gone.txt"}, "cannot be read")]
)
def test_unusable_prompts_are_refused(base: Model, tuned: Model, given: dict[str, str], found: str) -> None:
    with pytest.raises(InputError) as raised:
        diff(base, tuned, **given)  # pyright: ignore[reportArgumentType]
    assert found in str(raised.value)


def test_a_reference_that_is_none_is_refused(base: Model, tuned: Model, everyday: Prompts) -> None:
    other = Model(new_model(small_config("llama", len(vocabulary()), 64, 3), 0).eval(), word_tokenizer(), name="wider")
    with pytest.raises(InputError, match="references that are fine-tunes of the base"):
        diff(base, tuned, text=everyday, references=[other])


@pytest.mark.parametrize("again", ["the reference", "the fine-tune"])
def test_a_reference_that_counts_twice_is_refused(
    base: Model, tuned: Model, twins: list[Model], everyday: Prompts, again: str
) -> None:
    second = {"the reference": twins[0], "the fine-tune": tuned}[again]
    with pytest.raises(InputError, match="which have the same weights"):
        diff(base, tuned, text=everyday, references=[twins[0], second], draws=1, prompts=24)


def test_text_in_words_that_the_models_do_not_have_is_refused(base: Model, tuned: Model, tmp_path: Path) -> None:
    (tmp_path / "prose.txt").write_text("\n".join(f"Whatever was written in {year}" for year in range(1900, 1940)))
    with pytest.raises(InputError, match="has no tokens for"):
        diff(base, tuned, text=tmp_path / "prose.txt", draws=1)


def test_a_folder_of_other_files_is_not_written_into(
    base: Model, tuned: Model, everyday: Prompts, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("precious")
    with pytest.raises(InputError, match=r"which holds a\.txt"):
        diff(base, tuned, text=everyday, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_the_command(base: Model, tuned: Model, twins: list[Model], suite, tmp_path: Path) -> None:
    import random

    for name, model in (("base", base), ("tuned", tuned), ("one", twins[0]), ("two", twins[1])):
        save_quietly(model.module, tmp_path / name)
        model.tokenizer.save_pretrained(tmp_path / name)
    suite.to_folder(tmp_path / "suite")
    (tmp_path / "text.txt").write_text("\n".join(everyday_documents(40, random.Random(0))))
    app = typer.Typer()
    app.command()(diff_command)
    asked = [tmp_path / "base", tmp_path / "tuned", "--suite", tmp_path / "suite", "--text", tmp_path / "text.txt", "--out",
             tmp_path / "out", "--reference", tmp_path / "one", "--reference", tmp_path / "two", "--draws", 39]  # fmt: skip
    done = CliRunner().invoke(app, list(map(str, asked)))
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == str(tmp_path / "out" / "report.html")
    assert StudyRecord.open(tmp_path / "out").check_hashes() == []
    assert "tuned/suite" not in done.stdout


def copy_of(model: Model) -> Model:
    module = copy.deepcopy(model.module)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), model.module.parameters(), strict=True))
    return Model(module, model.tokenizer, name="the same")
