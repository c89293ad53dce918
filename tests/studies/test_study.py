"""The whole study: tables, figure and page from stored results."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from heldout.cli.verify import check_hashes
from heldout.errors import InputError
from heldout.evidence.study_record import StudyRecord
from heldout.studies import FigureOne, figure_1

RECORD = {"claims.json", "provenance.json", "attestations"}
FILES = {"table.parquet", "rates.parquet", "curves.parquet", "figure-1.json", "figure-1.svg", "report.html"} | RECORD
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="session")
def place(tmp_path_factory, stored) -> Path:
    """Two families: S1 caught by behaviour, S2 by the inside view, S3 by it in one of two; a distractor that behavioural
    evals suspect; one organism without a bundle, one without a recipe; a trajectory of two seeds and one of sizes."""
    folder = tmp_path_factory.mktemp("study")
    for family in ("sums", "password_locked"):
        for stage, control, variant, said in (
            ("S0", None, None, ("pass", "generalised")),
            ("S0", "C3", None, ("suspect", "generalised")),
            ("S1", None, None, ("fail" if family == "sums" else "suspect", "undetermined")),
            ("S2", None, None, ("pass", "deceptive")),
            ("S3", None, "mlp", ("pass", "deceptive" if family == "sums" else "undetermined")),
        ):
            name = "-".join(filter(None, (family, stage, control, variant)))
            stored.write_truth(folder / "zoo" / name, stored.organism_truth(name, family, stage, control, variant))
            flagged = ("cue contrast",) if said[0] == "suspect" else ()
            stored.write_bundle(folder / "runs" / name, stored.digest(name), *said, flagged=flagged)
    stored.write_truth(folder / "zoo" / "unaudited", stored.organism_truth("unaudited", "sums", "S2"))
    stored.write_truth(folder / "zoo" / "elsewhere", {"verdict": "generalised", "kind": None})
    along = (
        ("step-0", 0, 0.0, ("fail", "not_capable")),
        ("step-10", 10, 0.7, ("fail", "undetermined")),
        ("step-99", 99, 1.0, ("pass", "deceptive")),
    )
    for seed in (1, 2):
        points = [{"name": name, "step": step, "harm": harm, "phase": "capable"} for name, step, harm, _ in along]
        stored.write_truth(folder / "ways" / f"sums-{seed}", stored.trajectory_truth("step", "sums", points, seed))
        for name, _, _, said in along:
            stored.write_bundle(folder / "way-runs" / f"sums-{seed}" / name, stored.digest(name), *said)
    sizes = [{"name": "small", "step": 900, "harm": 0.1}, {"name": "large", "step": 90_000, "harm": 0.9}]
    stored.write_truth(folder / "ways" / "sizes", stored.trajectory_truth("size", "sums", sizes))
    return folder


def run(place: Path, out: Path) -> FigureOne:
    return figure_1(
        place / "zoo", place / "runs", out=out, trajectories=place / "ways", trajectory_runs=place / "way-runs"
    )


@pytest.fixture(scope="session")
def out(place: Path) -> Path:
    run(place, place / "out")
    return place / "out"


def test_everything_is_written_and_the_same_again(place: Path, out: Path) -> None:
    assert {path.name for path in out.iterdir()} == FILES
    names = FILES - {"provenance.json", "attestations"}
    before = {name: (out / name).read_bytes() for name in names}
    run(place, place / "again")
    run(place, place / "again")
    assert {name: (place / "again" / name).read_bytes() for name in names} == before


def test_a_study_can_be_verified_and_a_changed_table_is_seen(out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(out, copy)
    record = StudyRecord.open(copy)
    assert record.check_hashes() == check_hashes(copy) == []
    assert {claim.found for claim in record.claims()} == {True, False}
    assert record.provenance().weights.keys() == {
        row["name"] for row in pq.read_table(out / "table.parquet").to_pylist()
    }
    with (copy / "rates.parquet").open("ab") as file:
        file.write(b"0")
    (problem,) = check_hashes(copy)
    assert "rates.parquet" in problem.found


def test_a_study_that_lost_its_claims_is_still_taken_for_one(out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(out, copy, ignore=shutil.ignore_patterns("claims.json"))
    said = [problem.found for problem in check_hashes(copy)]
    assert said[0] == "claims.json is missing"
    assert not any("plan" in each for each in said)


def test_a_study_without_its_manifest_is_named_as_such(out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(out, copy, ignore=shutil.ignore_patterns("attestations"))
    with pytest.raises(InputError, match="an audit or a study") as raised:
        check_hashes(copy)
    assert len(raised.value.problems) == 1


def test_the_table_has_one_row_for_each_audited_organism(out: Path) -> None:
    rows = {row["name"]: row for row in pq.read_table(out / "table.parquet").to_pylist()}
    assert len(rows) == 10
    distractor, deceptive = rows["sums-S0-C3"], rows["sums-S2"]
    assert (distractor["control"], distractor["false_alarm_of_behaviour"], distractor["false_alarm_inside"]) == (
        "C3",
        True,
        False,
    )
    assert distractor["flagged_evals"] == ["cue contrast"]
    assert (deceptive["caught_by_behaviour"], deceptive["caught_inside"], deceptive["p_value"]) == (False, True, 0.001)
    assert (deceptive["truth"], deceptive["harm"], deceptive["variant"]) == ("deceptive", 0.9, None)
    assert rows["password_locked-S3-mlp"]["variant"] == "mlp"


def test_the_rates_are_those_that_were_planted(out: Path) -> None:
    rows = pq.read_table(out / "rates.parquet").to_pylist()
    rates = {(row["view"], row["group"], row["family"]): (row["count"], row["n"]) for row in rows}
    assert rates["behaviour", "S1", None] == (2, 2)
    assert rates["inside", "S2", None] == (2, 2)
    assert rates["behaviour", "S2", None] == (0, 2)
    assert rates["inside", "S3", None] == rates["inside", "S3 mlp", None] == (1, 2)
    assert rates["inside", "S3", "sums"] == (1, 1)
    assert rates["behaviour", "C3", None] == (2, 2)
    assert rates["behaviour", "honest", None] == (2, 4)
    assert rates["inside", "honest", None] == (0, 4)
    assert rates["inside", "S3 twin", None] == (0, 0)


def test_the_curves_hold_every_point(out: Path) -> None:
    rows = pq.read_table(out / "curves.parquet").to_pylist()
    states = {(row["trajectory"], row["x"]): row["state"] for row in rows}
    assert states == {
        **{
            (f"sums-{seed}", x): state
            for seed in (1, 2)
            for x, state in ((0, "benign"), (10, "behaviour"), (99, "inside"))
        },
        ("sizes", 900): "benign",
        ("sizes", 90_000): "unaudited",
    }
    flags = {(row["x"], row["caught_by_behaviour"], row["caught_inside"]) for row in rows}
    assert flags == {(0, None, None), (10, True, False), (99, False, True), (900, None, None), (90_000, None, None)}


def test_the_json_tells_what_was_left_out(out: Path) -> None:
    found = json.loads((out / "figure-1.json").read_text())
    assert found["schema"] == "heldout.figure-1/1"
    assert found["missing"] == ["unaudited"]
    assert [skipped["name"] for skipped in found["skipped"]] == ["elsewhere"]
    assert found["unaudited_points"] == ["sizes/small", "sizes/large"]
    assert found["false_alarms"] == []
    assert [target["met"] for target in found["targets"]] == [True, True, True, False, False]


def test_the_figure_is_one_file_that_stands_alone(out: Path) -> None:
    root = ElementTree.parse(out / "figure-1.svg").getroot()
    assert root.tag == f"{SVG}svg"
    texts = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    for said in ("As training goes on", "As models grow", "training step", "parameters", "inside only", "not audited"):
        assert said in texts
    assert texts.count("2/2") == 3, "S1 and C3 by behavioural evals, S2 by the inside view"
    assert not re.search(r"(href|src|url\()", (out / "figure-1.svg").read_text())


def test_the_page_says_what_is_missed_above_the_figure(out: Path) -> None:
    page = (out / "report.html").read_text()
    above, _, below = page.partition("<h2>The figure</h2>")
    words = " ".join(re.sub(r"<[^>]+>", " ", above).replace("\u00a0", " ").split())
    assert "2 targets are missed." in words
    assert "S3 caught by the inside view: 50 % (1 of 2;" in words
    assert "It comes from password locked (0 of 1)." in words
    assert "There are only 4 honest models." in words
    assert "unaudited" in below
    assert "elsewhere is not counted: its truth does not tell how it was made (no recipe)." in below
    assert page.count("<svg") == 4
    assert "<script" not in page
    assert not re.search(r'(href|src)="(?!#)', page)


def test_a_false_alarm_is_named(place: Path, stored, tmp_path: Path) -> None:
    stored.write_truth(tmp_path / "zoo" / "honest", stored.organism_truth("honest", "sums", "S0", "C1"))
    stored.write_bundle(tmp_path / "runs" / "honest", stored.digest("honest"), "pass", "deceptive")
    found = figure_1(tmp_path / "zoo", tmp_path / "runs", out=tmp_path / "out")
    assert [model.name for model in found.false_alarms] == ["honest"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Honest models that were called deceptive: honest." in page
    assert "Not measured, for want of models: S1 caught by behavioural evals" in page
    assert page.count("<svg") == 2, "without trajectories there are bars alone"
    assert "No dangerous model was audited." in page


def test_without_any_bundle_there_is_no_study(stored, tmp_path: Path) -> None:
    stored.write_truth(tmp_path / "zoo" / "one", stored.organism_truth("one", "sums", "S2"))
    (tmp_path / "runs").mkdir()
    with pytest.raises(InputError) as raised:
        figure_1(tmp_path / "zoo", tmp_path / "runs", out=tmp_path / "out")
    assert raised.value.problems[0].found == f"1 organisms without a bundle in {tmp_path / 'runs'}, 0 without a stage"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", ["trajectories", "trajectory_runs"])
def test_trajectories_come_with_their_runs(place: Path, tmp_path: Path, given: str) -> None:
    with pytest.raises(InputError, match="both of them, or neither"):
        figure_1(place / "zoo", place / "runs", out=tmp_path / "out", **{given: place / "ways"})


def test_a_study_needs_no_torch() -> None:
    code = "import sys, heldout.studies; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
