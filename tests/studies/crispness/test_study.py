"""The whole study: on a tiny encoder with a known latent, on a causal model with a suite, and on a real encoder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heldout.cli import app
from heldout.errors import InputError
from heldout.evidence.study_record import StudyRecord
from heldout.models import Model, load
from heldout.organisms import shipped_organisms
from heldout.studies.crispness import CRITERIA, Effort, TextSet, crispness, english

SMALL = Effort(draws=39, pairs=12, twins=1)


def test_a_known_latent_is_found_and_a_coin_is_not(encoder: Model, sentences: TextSet, tmp_path: Path) -> None:
    study = crispness(encoder, out=tmp_path / "out", text_set=sentences, effort=SMALL, seed=0)
    colour, luck = study.found
    assert colour.accuracy == 1.0
    assert colour.use.flip.value > 0
    assert colour.met["few directions"]
    assert not colour.met["decoded"], "a bag of tokens, and a twin, read a word off as well: it is no achievement"
    assert luck.accuracy < 0.7
    assert not any(luck.met[name] for name in ("decoded", "few directions", "used"))
    assert not luck.crisp
    assert study.path.value is None
    assert "does not apply" in str(study.path.missing)


def test_the_record_is_whole_and_says_what_was_found(encoder: Model, sentences: TextSet, tmp_path: Path) -> None:
    study = crispness(encoder, out=tmp_path / "out", text_set=sentences, effort=SMALL, seed=1)
    record = StudyRecord.open(tmp_path / "out")
    assert record.check_hashes() == []
    claims = {claim.id: claim for claim in record.claims()}
    assert set(claims) == {f"{name}-{what}" for name in ("colour", "luck") for what in ("decoded", "used", "crisp")} | {
        "path-length"
    }
    for each in study.found:
        assert claims[f"{each.latent}-crisp"].found == each.crisp
        assert claims[f"{each.latent}-decoded"].results[0].effect == each.accuracy
        directions = claims[f"{each.latent}-used"].results[0].null("random directions")
        assert directions is not None
        assert directions.n == 40
    assert claims["path-length"].missing
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for text in (*CRITERIA, "colour", "luck", "untrained twin"):
        assert text in page
    again = crispness(encoder, out=tmp_path / "again", text_set=sentences, effort=SMALL, seed=1)
    assert again.to_json() == study.to_json()
    same = [(tmp_path / name / "crispness.svg").read_bytes() for name in ("out", "again")]
    assert same[0] == same[1]


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Sums of a shipped organism, with the parity of each answer as a latent."""
    organism = next(path for path in shipped_organisms() if path.name.startswith("quirky_arithmetic-s0-c1"))
    source, folder = organism / "suite", tmp_path / "suite"
    folder.mkdir()
    (folder / "suite.toml").write_text((source / "suite.toml").read_text(encoding="utf-8"), encoding="utf-8")
    rows = [json.loads(line) for line in (source / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        if row["target"] is not None:
            row["metadata"]["latents"] = {"parity": int(row["target"]) % 2}
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (folder / "model").symlink_to(organism / "candidate")
    return folder


def test_a_causal_model_is_asked_with_the_latents_of_a_suite(suite: Path, tmp_path: Path) -> None:
    study = crispness(load(suite / "model"), out=tmp_path / "out", suite=suite, effort=SMALL)
    (parity,) = study.found
    assert study.causal
    assert parity.accuracy > 0.9, "the model answers these sums, and answers tell their parity"
    assert parity.accuracy > max(null.mean for null in parity.nulls) + 0.2
    assert study.path.value is not None
    assert study.path.value >= 1


def test_the_command_prints_each_latent(folder: Path, sentences: TextSet, tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    rows = [
        {
            "text": text.text,
            "latents": {text.latent: text.value},
            "part": text.part,
            "pair": text.pair,
            "word": text.word,
        }
        for text in sentences.of("colour")
    ]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    arguments = ["study", "crispness", str(folder), "--text-set", str(file), "--out", str(tmp_path / "out")]
    run = CliRunner().invoke(app, [*arguments, "--draws", "19", "--pairs", "8", "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["latents"][0]["latent"] == "colour"
    assert (tmp_path / "out" / "report.html").is_file()


def test_inputs_that_cannot_be_used_are_named(encoder: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a text set and a suite"):
        crispness(encoder, out=tmp_path, text_set="english", suite=tmp_path)
    with pytest.raises(InputError, match="no text has a latent"):
        crispness(encoder, out=tmp_path, text_set=TextSet("nothing", ()))


def test_a_real_encoder_reads_tense_off_beyond_words_and_twin(tmp_path: Path) -> None:
    """Of verbs that were not fitted, in templates that were not fitted."""
    texts = english(seed=5, share=0.5).only(["tense"])
    effort = Effort(draws=19, pairs=6, twins=1)
    (tense,) = crispness(load("minilm"), out=tmp_path, text_set=texts, effort=effort).found
    assert tense.accuracy > 0.75
    assert tense.p_value <= 0.05
