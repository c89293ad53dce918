import json
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from heldout.errors import InputError
from heldout.evidence import Bundle, BundleWriter, Claim, Plan, Verdict, Verdicts, gather_provenance
from heldout.execution.result import Result

PLAN = Plan(("h",), ("resid_post.0",), {"alpha": 0.01}, {"sums": {"fit": 3}}, "once", 100, (0,), "quick")
RESULT = Result(technique="t", quantity="readout_accuracy", unit="fraction", effect=0.5, n=3)
CLAIM = Claim("c", "sums", "represented", "It was decoded.", True, (RESULT,))
VERDICTS = Verdicts("sha256:01", (Verdict("sums", "generalised", None, 0.01, "pass"),))
ROW = {"behaviour": "sums", "quantity": "correct", "sample": "u1", "value": 1.0}


def provenance(candidate="sha256:01"):
    return gather_provenance(
        weights={"candidate": candidate},
        data={"suite": "sha256:02"},
        arguments_passed={},
        arguments_resolved={},
        seeds=(0,),
    )


def writer(out, plan=PLAN, **changes):
    return BundleWriter(out, plan=plan, provenance=provenance(**changes))


def behave(audit):
    def compute():
        audit.measure([ROW, {**ROW, "sample": "u2", "layer": 1, "answer": "41"}])
        audit.null("permuted/labels", {"draw": [0, 1], "value": [0.1, 0.2]})
        audit.tensors("directions", {"mean_difference": np.arange(6, dtype=np.float32).reshape(2, 3)})
        return {
            "claim": CLAIM,
            "scores": np.eye(2),
            "table": pa.table({"a": [1]}),
            "nan": [float("inf")],
            "pair": (1, 2),
        }

    return compute


def finished(out, **changes):
    with writer(out, **changes) as audit:
        audit.stage("behave", behave(audit))
        audit.write_claims([CLAIM])
        audit.write_verdicts(VERDICTS)
        return audit.finish(cost={"forward_passes": 10.0})


def test_everything_is_read_back_as_it_was_written(tmp_path):
    bundle = finished(tmp_path / "run")
    assert bundle.verdicts() == VERDICTS
    assert bundle.claims() == (CLAIM,)
    assert bundle.plan() == PLAN
    assert bundle.provenance().plan_digest == PLAN.digest
    assert bundle.measurements().to_pylist()[1]["answer"] == "41"
    assert bundle.measurements().column("stage").to_pylist() == ["behave"] * 2
    assert bundle.null("permuted/labels").to_pydict() == {"draw": [0, 1], "value": [0.1, 0.2]}
    assert bundle.tensors("directions")["mean_difference"].shape == (2, 3)
    assert bundle.check_hashes() == []
    assert [path.name for path in tmp_path.iterdir()] == ["run"], "nothing is left beside a finished bundle"
    assert sorted(path.name for path in bundle.path.iterdir()) == [
        "attestations", "claims.json", "measurements.parquet", "nulls", "plan.json", "plan.sha256", "provenance.json",
        "tensors", "verdict.json",
    ]  # fmt: skip


def test_a_folder_that_exists_is_refused_in_four_parts(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError) as raised:
        writer(tmp_path / "run")
    assert raised.value.exit_code == 2
    assert str(raised.value) == textwrap.dedent(f"""\
        BundleWriter({str(tmp_path / "run")!r})
        found:    a folder at {tmp_path / "run"}
        expected: an output path that does not exist
        next:     choose another name, or move the old run away""")


def test_the_plan_is_on_disk_before_the_first_stage(tmp_path):
    with writer(tmp_path / "run") as audit:
        seen = audit.stage("first", lambda: (audit.folder / "plan.sha256").read_text())
    assert seen.split()[0] == PLAN.digest.removeprefix("sha256:")
    assert not (tmp_path / "run").exists()


def test_a_stage_gives_the_same_value_in_the_first_run_and_after_a_restart(tmp_path):
    with writer(tmp_path / "run") as audit:
        first = audit.stage("behave", behave(audit))
    with writer(tmp_path / "run") as audit:
        second = audit.stage("behave", lambda: pytest.fail("a finished stage is not computed again"))
        assert audit.resumed == ["behave"]
    for value in (first, second):
        assert value["claim"] == CLAIM
        assert np.array_equal(value["scores"], np.eye(2))
        assert value["table"].to_pydict() == {"a": [1]}
        assert value["nan"] == [float("inf")]
        assert value["pair"] == [1, 2]


def test_a_bundle_of_two_attempts_equals_that_of_one(tmp_path):
    def attempt(out, stop):
        with writer(out) as audit:
            for number in range(4):
                if number == stop:
                    raise KeyboardInterrupt
                audit.stage(f"stage {number}", lambda number=number: audit.measure([{**ROW, "value": float(number)}]))
            audit.write_claims([CLAIM])
            audit.write_verdicts(VERDICTS)
            return audit.finish()

    whole = attempt(tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        attempt(tmp_path / "twice", 2)
    assert not (tmp_path / "twice").exists()
    twice = attempt(tmp_path / "twice", None)
    assert twice.measurements().equals(whole.measurements())
    assert twice.provenance().resumed_stages == ("stage 0", "stage 1")


def test_what_an_unfinished_stage_wrote_is_not_kept(tmp_path):
    with writer(tmp_path / "run") as audit:
        with pytest.raises(ZeroDivisionError):
            audit.stage("behave", lambda: audit.measure([ROW]) or 1 / 0)
        audit.stage("behave", lambda: audit.measure([ROW]))
        audit.write_claims([])
        audit.write_verdicts(VERDICTS)
        assert audit.finish().measurements().num_rows == 1


@pytest.mark.parametrize("other", [{"plan": replace(PLAN, permutations=7)}, {"candidate": "sha256:99"}])
def test_the_partial_folder_of_another_run_is_discarded_with_a_notice(tmp_path, other, caplog):
    with writer(tmp_path / "run") as audit:
        audit.stage("behave", lambda: 1)
    with writer(tmp_path / "run", **other) as audit:
        assert audit.stage("behave", lambda: 2) == 2
        assert audit.resumed == []
        assert "another plan, other inputs or other code" in audit.notices[0]
    assert audit.notices[0] in caplog.text


def test_two_writers_of_one_output_do_not_meet(tmp_path):
    with writer(tmp_path / "run"), pytest.raises(InputError, match="another process is writing"):
        writer(tmp_path / "run")
    with writer(tmp_path / "run"):
        pass


def test_a_bundle_without_verdict_is_not_finished(tmp_path):
    with writer(tmp_path / "run") as audit, pytest.raises(InputError) as raised:
        audit.finish()
    assert len(raised.value.problems) == 2
    assert not (tmp_path / "run").exists()


def test_measuring_outside_a_stage_is_refused(tmp_path):
    with writer(tmp_path / "run") as audit, pytest.raises(InputError, match="no stage is open"):
        audit.measure([ROW])


def test_measurements_with_unknown_columns_or_without_behaviour_are_refused(tmp_path):
    with writer(tmp_path / "run") as audit:
        with pytest.raises(InputError, match=r"the columns \['accuracy'\]"):
            audit.stage("s", lambda: audit.measure([{**ROW, "accuracy": 1.0}]))
        with pytest.raises(InputError, match="1 rows without behaviour"):
            audit.stage("s", lambda: audit.measure([{"quantity": "q", "value": 1.0}]))


def test_a_stage_value_that_cannot_be_kept_is_named(tmp_path):
    with writer(tmp_path / "run") as audit, pytest.raises(InputError, match=r"value\['a'\]\[0\] is a builtins.object"):
        audit.stage("s", lambda: {"a": [object()]})


@pytest.mark.parametrize("name", ["../../escape", "..", ".", "a/b", "<script>", "x" * 400])
def test_names_stay_inside_the_bundle(tmp_path, name):
    with writer(tmp_path / "run") as audit:
        audit.stage(name, lambda: audit.null(name, {"value": [1.0]}))
        audit.write_claims([])
        audit.write_verdicts(VERDICTS)
        bundle = audit.finish()
    assert bundle.null(name).num_rows == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda run: (run / "claims.json").write_text((run / "claims.json").read_text() + " "),
            "claims.json has the digest",
        ),
        (
            lambda run: (run / "nulls" / "permuted%2Flabels.parquet").unlink(),
            "nulls/permuted%2Flabels.parquet is missing",
        ),
        (lambda run: (run / "notes.txt").write_text("x"), "notes.txt is not in the manifest"),
        (lambda run: (run / "attestations" / "manifest.json").unlink(), "attestations/manifest.json is missing"),
        (lambda run: (run / "plan.json").write_text("{}"), "plan.json has the digest"),
    ],
)
def test_every_change_to_a_bundle_is_seen(tmp_path, damage, said):
    bundle = finished(tmp_path / "run")
    damage(bundle.path)
    assert any(said in problem.found for problem in bundle.check_hashes())


def test_a_verdict_about_another_model_is_seen_even_in_a_manifest_made_to_fit(tmp_path):
    bundle = finished(tmp_path / "run", candidate="sha256:99")
    assert [problem.found for problem in bundle.check_hashes()] == ["verdict.json is about sha256:01"]


def test_opening_lists_everything_that_is_not_there(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError) as raised:
        Bundle.open(tmp_path / "run")
    assert len(raised.value.problems) == 7


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from test_bundle import *
with writer({out!r}) as audit:
    audit.stage("one", lambda: audit.measure([ROW]))
    audit.write_claims([CLAIM])
    audit.write_verdicts(VERDICTS)
    if {late}:
        audit.finish(render=lambda folder: os.kill(os.getpid(), signal.SIGKILL))
    audit.stage("two", lambda: os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.mark.parametrize("late", [False, True])
def test_a_killed_audit_leaves_no_folder_that_looks_whole_and_goes_on(tmp_path, late):
    out = str(tmp_path / "run")
    code = KILLED.format(path=[str(Path(__file__).parent), *filter(None, sys.path)], out=out, late=late)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".run.partial"]
    with pytest.raises(InputError):
        Bundle.open(tmp_path / ".run.partial")
    with writer(out) as audit:
        audit.stage("one", lambda: pytest.fail("finished before the kill"))
        audit.write_claims([CLAIM])
        audit.write_verdicts(VERDICTS)
        assert audit.finish().measurements().num_rows == 1


def test_manifest_is_strict_json_with_sizes(tmp_path):
    bundle = finished(tmp_path / "run")
    manifest = json.loads((bundle.path / "attestations" / "manifest.json").read_text())
    assert manifest["files"]["claims.json"]["bytes"] == (bundle.path / "claims.json").stat().st_size
