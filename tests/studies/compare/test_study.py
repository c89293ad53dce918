"""The whole study on the shipped organisms: what is read, found, written, and refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from heldout.data import Suite
from heldout.errors import InputError
from heldout.models import CheckpointSuite, CheckpointWriter, load
from heldout.studies.compare import compare
from heldout.studies.compare.storing import CELLS, CONCEPTS, MEASURES

RECORD = {"claims.json", "provenance.json", "attestations"}
FILES = {"cells.parquet", "measures.parquet", "concepts.parquet", "compare.json", "compare.svg", "report.html"} | RECORD
FEW = {"prompts": 160, "draws": 39}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def honest(organism) -> Path:
    return organism("quirky_arithmetic-s0-c1")


@pytest.fixture(scope="module")
def deceptive(organism) -> Path:
    return organism("quirky_arithmetic-s2")


@pytest.fixture(scope="module")
def run(honest: Path, deceptive: Path, tmp_path_factory):
    """The honest twin against the deceptive candidate: the study, and the folder that it wrote."""
    out = tmp_path_factory.mktemp("compare")
    models = [honest / "candidate", deceptive / "candidate"]
    return compare(models, suite=deceptive / "suite", out=out, **FEW), out


def test_relatives_are_alike_and_a_random_twin_is_not(run) -> None:
    study, _ = run
    relatives, twin = study.likeness("A", "B"), study.likeness("A", "A₀")
    assert relatives.p_value == 1 / 40
    assert relatives.value > 0.5
    assert twin.value < 0.2
    assert study.likeness("A", "A").value == pytest.approx(1.0)


def test_both_hold_the_right_answer_beyond_what_needs_no_training(run) -> None:
    """The deceptive organism was planted to know what it does not say, and where it is checked both say it."""
    study, _ = run
    assert {(each.model, each.concept, each.held) for each in study.held} == {
        ("A", "right answer", True),
        ("B", "right answer", True),
    }


def test_everything_is_written(run) -> None:
    _, out = run
    assert {path.name for path in out.iterdir()} == FILES
    for name, schema in (("cells", CELLS), ("measures", MEASURES), ("concepts", CONCEPTS)):
        assert pq.read_table(out / f"{name}.parquet").schema.equals(schema)
    cells = pq.read_table(out / "cells.parquet").to_pylist()
    assert len(cells) == 5 * 9, "A and B, each with itself, each with the untrained model; three layers each"
    measures = pq.read_table(out / "measures.parquet").to_pylist()
    assert {row["measure"] for row in measures} == {
        "debiased_cka", "biased_cka", "procrustes_distance", "svcca", "pwcca", "rsa",
    }  # fmt: skip
    assert [row["concept"] for row in measures if row["measure"] == "rsa"] == ["right answer"]
    said = json.loads((out / "compare.json").read_text())
    assert said["schema"] == "heldout.compare/1"
    assert [model["label"] for model in said["models"]] == ["A", "B", "A₀"]
    assert said["models"][0]["digest"].startswith("sha256:")
    assert said["models"][2]["digest"] is None
    assert (said["prompts"]["n"], said["prompts"]["left_out"]) == (160, 640)
    assert len(said["cells"]) == len(cells)


def test_the_same_again_gives_the_same_bytes(run, honest: Path, deceptive: Path, tmp_path: Path) -> None:
    _, out = run
    models = [honest / "candidate", deceptive / "candidate"]
    compare(models, suite=Suite.from_folder(deceptive / "suite"), out=tmp_path, **FEW)
    for name in FILES - {"provenance.json", "attestations"}:
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_the_figure_and_the_page_stand_alone(run) -> None:
    _, out = run
    root = ElementTree.parse(out / "compare.svg").getroot()
    texts = {"".join(element.itertext()) for element in root.iter(f"{SVG}text")}
    assert {"Models against each other", "Layer against layer", "A and B", "A and A₀", "right answer"} <= texts
    page = (out / "report.html").read_text()
    for content in (page, (out / "compare.svg").read_text()):
        assert not re.search(r'<script|(href|src)="(?!#)|url\(', content)
    assert page.count("<svg") == 3
    words = " ".join(re.sub(r"<[^>]+>", " ", page).replace("\u00a0", " ").split())
    assert "An untrained model of B’s shape reaches" in words
    assert "right answer: held by both." in words
    assert "640 further prompts were not read." in words


def test_a_model_and_its_copy(honest: Path, tmp_path: Path) -> None:
    study = compare([honest / "candidate"] * 2, suite=honest / "suite", out=tmp_path, prompts=60, draws=19)
    found = study.likeness("A", "B")
    assert (found.value, found.p_value) == (pytest.approx(1.0), 1 / 20)
    assert study.model("B").name == f"{study.model('A').name} (2)"
    diagonal = [each for each in study.cells if (each.model, each.other) == ("A", "B") and each.site == each.other_site]
    assert all(each.p_value == 1 / 20 and each.debiased == pytest.approx(1.0) for each in diagonal)


def test_a_text_file_models_in_memory_and_the_mean_over_tokens(organism, tmp_path: Path) -> None:
    """Of other shapes, with a repeated line and an empty one."""
    lines = [f"<bos> {one} {other} 3 =" for one in range(5) for other in range(5)]
    (tmp_path / "prompts.txt").write_text("\n".join([*lines, "", lines[0]]))
    models = [load(organism("quirky_arithmetic-s2") / "candidate"), load(organism("partial_grader-s2") / "candidate")]
    sites = ["mlp_out", "resid_pre.1"]
    study = compare(models, text=tmp_path / "prompts.txt", out=tmp_path / "out", position=None, sites=sites, draws=19)
    assert (len(study.items), study.items.repeated) == (25, 1)
    assert study.held == ()
    assert [str(site) for site in study.model("A").activations] == [
        "mlp_out.0",
        "mlp_out.1",
        "mlp_out.2",
        "resid_pre.1",
    ]
    assert [model.label for model in study.models] == ["A", "B", "A₀", "B₀"], (
        "another family has another untrained twin"
    )
    assert "averaged over tokens" in (tmp_path / "out" / "report.html").read_text()


def test_the_checkpoints_of_a_run(honest: Path, tmp_path: Path) -> None:
    """Noise that grows takes a model away from where it began; of many models neighbours are measured."""
    import torch

    model = load(honest / "candidate")
    writer = CheckpointWriter(tmp_path / "run")
    generator = torch.Generator().manual_seed(0)
    for step, size in enumerate((0.0, 0.05, 0.1, 0.2, 0.4)):
        for parameter in model.module.parameters():
            parameter += size * parameter.std().nan_to_num(0.0) * torch.randn(parameter.shape, generator=generator)
        writer.save(step, model)
    suite = CheckpointSuite.from_folder(tmp_path / "run")
    for source in (suite, str(tmp_path / "run")):
        study = compare(source, suite=honest / "suite", out=tmp_path / "out", prompts=80, draws=9)
        assert [each.name for each in study.trained] == [f"step-{step:06d}" for step in range(5)]
        along = [study.likeness("A", label).value for label in "ABCDE"]
        assert along == sorted(along, reverse=True)
        pairs = dict.fromkeys((each.settings["model"], each.settings["other"]) for each in study.measures)
        assert list(pairs) == [("A", "B"), ("B", "C"), ("C", "D"), ("D", "E")]


def test_what_cannot_be_compared(honest: Path, tmp_path: Path) -> None:
    model, suite = honest / "candidate", honest / "suite"
    refused = {
        "1 models": {"models": [model], "suite": suite},
        "neither a suite nor a text": {"models": [model, model]},
        "a suite and a text": {"models": [model, model], "suite": suite, "text": tmp_path / "a"},
        "cannot be read: No such file or directory": {"models": [model, model], "text": tmp_path / "a"},
        "resid_post.7 of": {"models": [model, model], "suite": suite, "sites": ["resid_post.7"]},
        "the same activations for every prompt": {"models": [model, model], "suite": suite, "sites": ["resid_pre.0"]},
    }
    for found, arguments in refused.items():
        with pytest.raises(InputError, match=re.escape(found)):
            compare(out=tmp_path / "out", **arguments)
    (tmp_path / "few.txt").write_text("one\ntwo\none\n")
    with pytest.raises(InputError, match="2 different prompts in few"):
        compare([model, model], text=tmp_path / "few.txt", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prompts_in_words_that_a_model_does_not_have_are_refused(organism, honest: Path, tmp_path: Path) -> None:
    models = [honest / "candidate", organism("partial_grader-s2") / "candidate"]
    with pytest.raises(InputError, match="has no tokens for"):
        compare(models, suite=honest / "suite", out=tmp_path / "out")


def test_sites_are_refused_before_a_model_is_opened(honest: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the site 'bogus'"):
        compare([tmp_path / "no", tmp_path / "model"], suite=honest / "suite", out=tmp_path / "out", sites=["bogus"])


def test_other_studies_still_need_no_torch() -> None:
    code = "import sys, heldout.studies, heldout.cli.study_compare; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
