"""The study from models to page: what it writes, what it keeps, and what it says of inputs that it cannot use."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from heldout.data import Suite
from heldout.errors import InputError
from heldout.evidence.study_record import StudyRecord
from heldout.models.checkpoints.measuring import CellsFailed
from heldout.studies.scaling import ScalingStudy, scaling
from heldout.techniques.learning_coefficient import Sampling

HURRIED = Sampling(chains=4, draws=10, warmup=5, largest_steps=5)


def run(trained: Path, out: Path) -> ScalingStudy:
    folders = [trained / "seed-1", trained / "seed-2"]
    return scaling(folders, suite=trained / "suite", out=out, prompts=32, sampling=HURRIED)


@pytest.fixture(scope="module")
def out(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scaling")
    run(trained, folder)
    return folder


def test_it_leaves_a_record_that_holds(out: Path) -> None:
    record = StudyRecord.open(out)
    assert record.check_hashes() == []
    assert {claim.id for claim in record.claims()} >= {"loss-power", "learning_coefficient-power_and_offset"}
    assert len(record.provenance().weights) == 6


def test_every_model_has_every_reading_or_a_reason(out: Path) -> None:
    rows = pq.read_table(out / "readings.parquet").to_pylist()
    assert len(rows) == 4 * 6
    assert all((row["value"] is None) == bool(row["refused"]) for row in rows)
    assert len({row["non_embedding"] for row in rows}) == 3
    hurried = [row for row in rows if row["quantity"] == "learning_coefficient"]
    assert all(row["value"] is None for row in hurried)


def test_page_and_figure_say_what_was_refused(out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Learning coefficient: refused for every model" in page
    assert "parameters that are no embeddings" in (out / "scaling.svg").read_text(encoding="utf-8")


def test_a_second_call_measures_nothing_and_writes_the_same(
    trained: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (out / "scaling.json").read_bytes()
    monkeypatch.setattr("heldout.studies.scaling.measuring.loss_reading", None)
    run(trained, out)
    assert (out / "scaling.json").read_bytes() == before


def test_moved_models_and_a_moved_suite_are_not_measured_again(
    trained: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(trained, moved)
    shutil.copytree(out, tmp_path / "out")
    monkeypatch.setattr("heldout.studies.scaling.measuring.loss_reading", None)
    run(moved, tmp_path / "out")
    assert (tmp_path / "out" / "scaling.json").read_bytes() == (out / "scaling.json").read_bytes()


def test_a_suite_of_other_contents_is_measured_anew(
    trained: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same place."""
    moved = tmp_path / "moved"
    shutil.copytree(trained, moved)
    shutil.copytree(out, tmp_path / "out")
    suite = Suite.from_folder(moved / "suite")
    replace(suite, description="another").to_folder(moved / "suite")
    monkeypatch.setattr("heldout.studies.scaling.measuring.loss_reading", refuse)
    with pytest.raises(CellsFailed, match="no readings"):
        run(moved, tmp_path / "out")


def refuse(*_: object) -> None:
    raise RuntimeError("no readings")


def test_everything_wrong_is_said_at_once(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        scaling(
            trained / "seed-1", suite=trained / "suite", out=tmp_path, prompts=4, faithful=0.0, n_betas=(1.0,),
            localisation=0.0,
        )  # fmt: skip
    assert [problem.found for problem in raised.value.problems] == [
        "prompts=4", "faithful=0.0", "n_betas=(1.0,)", "localisation=0.0",
    ]  # fmt: skip
    with pytest.raises(InputError, match="no folders"):
        scaling([], suite=trained / "suite", out=tmp_path)


def test_the_command_measures_one_seed_and_gives_no_exponent(trained: Path, tmp_path: Path) -> None:
    import typer

    from heldout.cli.study_scaling import scaling_command

    app = typer.Typer()
    app.command()(scaling_command)
    arguments = [str(trained / "seed-1"), "--suite", str(trained / "suite"), "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(app, [*arguments, "--prompts", "16", "--parameters", "model.norm"])
    assert found.exit_code == 0, found.output
    assert "too few sizes" in found.output
    assert (tmp_path / "out" / "report.html").is_file()


def test_the_page_of_the_study_names_every_file_and_column(out: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "scaling.md").read_text(encoding="utf-8")
    for path in out.iterdir():
        assert f"`{path.name}{'/' if path.is_dir() else ''}`" in text, path.name
    for column in (
        "exponent", "low", "high", "factor", "offset", "p_value", "p_value_alone", "misfit_p_value", "next_size_error",
        "left_out",
    ):  # fmt: skip
        assert f"`{column}`" in text
        assert column in pq.read_schema(out / "exponents.parquet").names
