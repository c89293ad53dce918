import hashlib
import subprocess

import pytest

from heldout.errors import InputError
from heldout.evidence.plan import Plan
from heldout.evidence.provenance import Provenance, gather_provenance, repository_state

PLAN = Plan(
    hypotheses=("concealment", "grader_gaming"), sites=("resid_post.0", "resid_post.1"), thresholds={"alpha": 0.01},
    splits={"sums": {"fit": 120, "test": 60}}, stop_rule="all hypotheses tested once", permutations=1000, seeds=(0,),
    effort="quick",
)  # fmt: skip


def test_the_digest_is_that_of_the_file_and_in_the_format_of_sha256sum(tmp_path):
    digest = PLAN.write(tmp_path)
    found = hashlib.sha256((tmp_path / "plan.json").read_bytes()).hexdigest()
    assert digest == PLAN.digest == f"sha256:{found}"
    assert (tmp_path / "plan.sha256").read_text() == f"{found}  plan.json\n"
    assert Plan.read(tmp_path) == PLAN


def test_a_plan_that_was_changed_later_is_refused(tmp_path):
    PLAN.write(tmp_path)
    path = tmp_path / "plan.json"
    path.write_text(path.read_text().replace("0.01", "0.05"))
    with pytest.raises(InputError, match="the plan was changed after its digest was written"):
        Plan.read(tmp_path)


def test_unknown_and_missing_names_are_reported_together():
    data = {**PLAN.to_json(), "treshold": 1}
    del data["effort"]
    with pytest.raises(InputError) as raised:
        Plan.from_json(data)
    assert "unknown names ['treshold']" in str(raised.value)
    assert "missing names ['effort']" in str(raised.value)


def provenance(**changes):
    fields = {"weights": {"candidate": "sha256:01"}, "data": {"suite": "sha256:02"}, "arguments_passed": {"seed": 1},
              "arguments_resolved": {"seed": 1, "effort": "quick"}, "seeds": (1,)}  # fmt: skip
    return gather_provenance(**{**fields, **changes})


def test_provenance_is_the_same_after_json():
    done = provenance().completed(resumed_stages=("behave",), cost={"forward_passes": 12.0})
    assert Provenance.from_json(done.to_json()) == done
    assert done.finished >= done.started
    assert done.versions["torch"]


def test_runs_on_the_same_inputs_share_a_digest_and_others_do_not():
    assert provenance().inputs_digest == provenance(arguments_passed={"out": "elsewhere"}).inputs_digest
    assert provenance().inputs_digest != provenance(weights={"candidate": "sha256:99"}).inputs_digest


def test_the_state_of_a_repository(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=n", "-c", "user.email=e", *arguments], check=True)

    file = tmp_path / "package" / "module.py"
    file.parent.mkdir()
    file.write_text("x = 1\n")
    assert repository_state(file) is None
    git("init", "--quiet")
    assert repository_state(file) is None, "a file that git does not track has no commit"
    git("add", ".")
    git("commit", "--quiet", "--message", "one")
    clean = repository_state(file)
    assert clean is not None
    assert (len(clean["commit"]), clean["dirty"]) == (40, False)
    file.write_text("x = 2\n")
    assert repository_state(file) == {"commit": clean["commit"], "dirty": True}
