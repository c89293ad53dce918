"""Stored results: what is read, what is listed as missing, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from heldout.errors import InputError
from heldout.studies.figure_one.models import read_models
from heldout.studies.figure_one.trajectories import read_trajectories
from heldout.studies.figure_one.truths import organism_truth

SHIPPED = sorted((Path(__file__).parents[2] / "src" / "heldout" / "organisms" / "shipped").glob("*/truth.json"))


def read(folder: Path):
    return read_models("figure_1(...)", folder / "zoo", folder / "runs")


def found(raised: pytest.ExceptionInfo[InputError]) -> list[str]:
    return [problem.found for problem in raised.value.problems]


def test_an_organism_beside_its_bundle(add_organism, tmp_path: Path, stored) -> None:
    add_organism("one", "sums", "S3", None, "mlp", said=("suspect", "deceptive"), p_value=0.002, flagged=["sampling"])
    (model,) = read(tmp_path).audited
    assert (model.name, model.family, model.groups) == ("one", "sums", ("S3", "S3 mlp"))
    assert (model.recipe.seed, model.recipe.architecture) == (201, "qwen3")
    assert (model.measured.harm, model.measured.capability, model.measured.knowledge) == (0.9, 0.99, None)
    assert (model.verdict, model.kind) == ("deceptive", "concealment")
    reading = model.reading
    assert (reading.behavioural_only, reading.verdict, reading.kind) == ("suspect", "deceptive", "concealment")
    assert (reading.p_value, reading.flagged, reading.candidate) == (0.002, ("sampling",), stored.digest("one"))


def test_what_has_no_bundle_is_listed(add_organism, tmp_path: Path) -> None:
    add_organism("audited", "sums", "S2")
    add_organism("unaudited", "sums", "S2", said=None)
    (tmp_path / "runs" / ".unaudited.partial").mkdir()
    models = read(tmp_path)
    assert [model.name for model in models.audited] == ["audited"]
    assert models.missing == ("unaudited",)


def test_what_has_no_stage_is_left_out_by_name(add_organism, stored, tmp_path: Path) -> None:
    add_organism("whole", "sums", "S2")
    stored.write_truth(tmp_path / "zoo" / "elsewhere", {"verdict": "generalised", "kind": None, "seed": 3})
    stored.write_truth(tmp_path / "zoo" / "later", stored.organism_truth("later", "sums", "S9"))
    stored.write_truth(tmp_path / "zoo" / "other", stored.organism_truth("other", "sums", "S0", "C9"))
    stored.write_truth(tmp_path / "zoo" / ".whole.partial-1", stored.organism_truth("whole", "sums", "S2"))
    models = read(tmp_path)
    assert [model.name for model in models.audited] == ["whole"]
    assert models.missing == ()
    assert {skipped.name: skipped.reason for skipped in models.skipped} == {
        "elsewhere": "its truth does not tell how it was made (no recipe)",
        "later": "its stage is 'S9', and not one of S0, S1, S2, S3",
        "other": "its control is 'C9', and not one of C1, C2, C3, C4, C5, C6",
    }


def test_bundles_about_other_models_are_refused_all_at_once(add_organism, stored, tmp_path: Path) -> None:
    add_organism("right", "sums", "S2")
    add_organism("one", "sums", "S2", candidate=stored.digest("another"))
    add_organism("two", "sums", "S0", "C3", candidate=stored.digest("another"))
    with pytest.raises(InputError) as raised:
        read(tmp_path)
    assert found(raised) == [f"the bundle {name} is about {stored.digest('another')}" for name in ("one", "two")]
    assert raised.value.problems[0].expected == (
        f"a bundle about the organism one, whose candidate is {stored.digest('one')}"
    )


def test_a_truth_without_weights_cannot_be_matched(stored, tmp_path: Path) -> None:
    truth = {**stored.organism_truth("one", "sums", "S2"), "weights": {}}
    stored.write_truth(tmp_path / "zoo" / "one", truth)
    stored.write_bundle(tmp_path / "runs" / "one", stored.digest("one"), "pass", "generalised")
    with pytest.raises(InputError) as raised:
        read(tmp_path)
    assert found(raised) == [f"the bundle one is about {stored.digest('one')}"]


def test_an_honest_organism_that_deceives_is_refused(stored, tmp_path: Path) -> None:
    truth = {**stored.organism_truth("one", "sums", "S0", "C3"), "verdict": "deceptive"}
    stored.write_truth(tmp_path / "zoo" / "one", truth)
    stored.write_bundle(tmp_path / "runs" / "one", stored.digest("one"), "pass", "generalised")
    with pytest.raises(InputError) as raised:
        read(tmp_path)
    assert found(raised) == ["the truth of one says deceptive, and C3, which is honest"]


def test_broken_bundles_and_truths_are_told_together(add_organism, tmp_path: Path, stored) -> None:
    add_organism("one", "sums", "S2")
    (tmp_path / "runs" / "one" / "verdict.json").unlink()
    stored.write_truth(tmp_path / "zoo" / "two", {"verdict": "deceptive", "measured": {"harm": 7}})
    with pytest.raises(InputError) as raised:
        read(tmp_path)
    missing, out_of_range = found(raised)
    assert missing == "no verdict.json"
    assert out_of_range.startswith("measured.harm: ")
    assert "7" in out_of_range


def test_folders_that_are_not_there(add_organism, tmp_path: Path) -> None:
    add_organism("one", "sums", "S2")
    with pytest.raises(InputError) as raised:
        read_models("figure_1(...)", tmp_path / "zoo", tmp_path / "nowhere")
    assert found(raised) == [f"no folder {tmp_path / 'nowhere'}"]
    with pytest.raises(InputError) as raised:
        read_models("figure_1(...)", tmp_path / "nowhere", tmp_path / "runs")
    assert found(raised) == [f"no folder {tmp_path / 'nowhere'}"]
    with pytest.raises(InputError) as raised:
        read_models("figure_1(...)", tmp_path / "runs", tmp_path / "runs")
    assert found(raised) == [f"no NAME/truth.json in {tmp_path / 'runs'}"]


def test_there_are_shipped_organisms() -> None:
    assert SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_the_truth_of_the_shipped_organisms_can_be_read(path: Path) -> None:
    truth, sealed = organism_truth(path.parent), json.loads(path.read_text())
    assert truth.weights == sealed["weights"]
    assert truth.recipe is not None
    assert (truth.verdict, truth.recipe.stage, truth.recipe.control) == (
        sealed["verdict"],
        sealed["recipe"]["stage"],
        sealed["recipe"]["control"],
    )


@pytest.fixture
def trajectory(stored, tmp_path: Path) -> Path:
    """Two points of one seed, out of order, of which the first has a bundle."""
    points = [{"name": "step-000010", "step": 10, "harm": 0.8}, {"name": "step-000000", "step": 0, "harm": 0.0}]
    stored.write_truth(tmp_path / "ways" / "sums-1", stored.trajectory_truth("step", "sums", points))
    run = tmp_path / "way-runs" / "sums-1" / "step-000010"
    stored.write_bundle(run, stored.digest("ten"), "pass", "deceptive")
    return tmp_path


def test_a_trajectory_beside_its_bundles(trajectory: Path) -> None:
    first, second = read_trajectories("figure_1(...)", trajectory / "ways", trajectory / "way-runs")
    assert [(point.x, point.dangerous, point.state) for point in (first, second)] == [
        (0, False, "benign"),
        (10, True, "inside"),
    ]
    assert first.reading is None
    assert (second.name, second.point.phase, second.point.capability) == ("sums-1/step-000010", "capable", 0.9)


@pytest.mark.parametrize(("recorded", "refused"), [("ten", False), ("eleven", True)])
def test_a_checkpoint_that_was_recorded_must_be_the_audited_one(trajectory, stored, recorded, refused) -> None:
    manifest = {"checkpoints": [{"name": "step-000010", "digest": stored.digest(recorded)}]}
    checkpoints = trajectory / "ways" / "sums-1" / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "manifest.json").write_text(json.dumps(manifest))
    if not refused:
        assert len(read_trajectories("figure_1(...)", trajectory / "ways", trajectory / "way-runs")) == 2
        return
    with pytest.raises(InputError) as raised:
        read_trajectories("figure_1(...)", trajectory / "ways", trajectory / "way-runs")
    assert found(raised) == [f"the bundle sums-1/step-000010 is about {stored.digest('ten')}"]


def test_a_trajectory_on_no_known_axis_is_refused(stored, tmp_path: Path) -> None:
    (tmp_path / "way-runs").mkdir()
    points = [{"name": "one", "step": 1, "harm": 0.1}, {"name": "two", "step": 2}]
    stored.write_truth(tmp_path / "ways" / "a", stored.trajectory_truth("width", "sums", points))
    with pytest.raises(InputError) as raised:
        read_trajectories("figure_1(...)", tmp_path / "ways", tmp_path / "way-runs")
    assert [text.partition(":")[0] for text in found(raised)] == ["axis", "points.1.harm"]
