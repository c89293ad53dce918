"""What is refused, what goes on after a failure, and what is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from heldout.data import Suite
from heldout.errors import InputError
from heldout.evidence.study_record import StudyRecord
from heldout.models import CheckpointSuite
from heldout.studies.trajectory import trajectory
from heldout.studies.trajectory.courses import VERIFIED
from heldout.studies.trajectory.storing import EDGES, MEASURES, NULLS, PHASES


def refused(message: str, *args: object, **more: object) -> None:
    with pytest.raises(InputError) as raised:
        trajectory(*args, **more)  # type: ignore[arg-type]
    said = str(raised.value)
    assert message in said
    assert said.startswith(("trajectory(", "CheckpointSuite"))
    assert all(part in said for part in ("found:", "expected:", "next:"))


def renamed(suite: CheckpointSuite, name: str, steps: list[int] | None = None) -> CheckpointSuite:
    chosen = suite if steps is None else suite.select(steps)
    return CheckpointSuite(chosen.checkpoints, name=name)


def test_runs_that_cannot_be_used(organism_runs: SimpleNamespace, tmp_path: Path) -> None:
    one, other = organism_runs.deceptive, organism_runs.honest
    options = {"suite": organism_runs.suite, "out": tmp_path}
    first, *rest = one.steps
    refused("no runs", [], **options)
    refused("the same checkpoints in deceptive and again", [one, renamed(one, "again")], **options)
    refused("two runs of the name honest", [renamed(one, "honest"), other], **options)
    refused(f"steps that not every run has: other lacks {first}", [one, renamed(other, "other", rest)], **options)
    refused(f"--steps {','.join(map(str, rest))}", [one, renamed(other, "other", rest)], **options)
    refused("too few checkpoints: few has 2", renamed(one, "few", [first, rest[0]]), **options)
    refused("no checkpoint at 7", one, steps=[0, 7, rest[0]], **options)
    refused("no folder", tmp_path / "nowhere", **options)
    by_size = CheckpointSuite(one.checkpoints, axis="size", name="sizes")
    refused("checkpoints by size in sizes", by_size, **options)
    refused("without everything", one, without=["everything"], **options)
    assert not (tmp_path / "measured").exists()


def test_suites_that_cannot_be_used(organism_runs: SimpleNamespace, tmp_path: Path) -> None:
    suite: Suite = organism_runs.suite
    run = organism_runs.deceptive
    verified = replace(suite, samples=tuple(each for each in suite.samples if each.role == "verified"))
    refused("no unverified prompts", run, suite=verified, out=tmp_path)
    refused("answers of up to 1 tokens", run, suite=replace(suite, answer="tokens"), out=tmp_path)
    refused("2 behaviours", run, suite=replace(suite, behaviours=(*suite.behaviours, "more")), out=tmp_path)


def test_a_checkpoint_of_not_numbers_is_named_and_the_others_are_kept(
    organism_runs: SimpleNamespace, tmp_path: Path
) -> None:
    run = organism_runs.honest
    states = {step: dict(run.at(step).place.state) for step in run.steps[:4]}
    broken = run.steps[2]
    states[broken] = {name: torch.full_like(weight, torch.nan) for name, weight in states[broken].items()}
    suite = CheckpointSuite.from_run(states, like=organism_runs.like, name="broken")
    study = trajectory(suite, suite=organism_runs.suite, out=tmp_path, prompts=240, without=["edges"])
    assert {each.checkpoint for _, each in study.failed} == {f"step-{broken:06d}"}
    assert {"behaviour", "readouts", "departures", "likeness"} <= {each.gauge for _, each in study.failed}
    assert any("logits of 'step-" in each.reason and "not finite" in each.reason for _, each in study.failed)
    values = study.values(VERIFIED)[0]
    assert np.isfinite(values).tolist() == [step != broken for step in suite.steps]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not measured" in page
    assert f"step-{broken:06d}" in page


def test_what_is_finished_is_not_computed_again(
    measured: SimpleNamespace, organism_runs: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, loaded = organism_runs.honest, []
    place = type(run.checkpoints[0].place)
    load = place.load
    monkeypatch.setattr(place, "load", lambda self: loaded.append(self.name) or load(self))
    again = trajectory(run, suite=organism_runs.suite, out=measured.out / "honest", without=["edges"], prompts=400)
    assert again.to_json() == measured.honest.to_json()
    assert loaded == [run.checkpoints[-1].name]


def test_one_model_is_resident_at_a_time(
    organism_runs: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident, most = [], []
    place = type(organism_runs.honest.checkpoints[0].place)
    load, release = place.load, place.release

    def loading(self: object) -> object:
        resident.append(self)
        most.append(len(resident))
        return load(self)

    def releasing(self: object, model: object) -> None:
        resident.remove(self)
        release(self, model)

    monkeypatch.setattr(place, "load", loading)
    monkeypatch.setattr(place, "release", releasing)
    few = organism_runs.honest.log_spaced(3)
    trajectory(few, suite=organism_runs.suite, out=tmp_path, prompts=60, without=["edges"])
    assert set(most) == {1}


def test_what_is_written(measured: SimpleNamespace) -> None:
    out = measured.out / "deceptive"
    record = StudyRecord.open(out)
    assert record.check_hashes() == []
    assert [claim.id for claim in record.claims()] == ["readable", "right", "override", "order", "phases"]
    for name, schema in (("measures", MEASURES), ("nulls", NULLS), ("edges", EDGES), ("phases", PHASES)):
        assert pq.read_schema(out / f"{name}.parquet").equals(schema)
    rows = pq.read_table(out / "measures.parquet").to_pylist()
    accuracy = {
        row["step"]: row["value"] for row in rows if (row["quantity"], row["role"]) == ("accept_rate", "verified")
    }
    assert list(accuracy.values()) == measured.deceptive.values(VERIFIED)[0].tolist()
    said = json.loads((out / "trajectory.json").read_text(encoding="utf-8"))
    assert said["schema"] == "heldout.trajectory/1"
    assert said["steps"] == list(accuracy)
    digests = dict(zip(accuracy, said["runs"][0]["digests"], strict=True))
    assert len(set(digests.values())) == len(digests)
    provenance = record.provenance()
    assert set(provenance.weights.values()) == set(digests.values())
