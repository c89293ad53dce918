"""`heldout check`: the self-test of access, its figures and its exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from heldout import models
from heldout.models import Model


def test_a_model_whose_access_is_right(command, checkpoint: Path) -> None:
    done = command("check", checkpoint)
    assert (done.exit_code, done.stderr) == (0, "")
    for part in ("largest logit difference", "bit-identical", "plain passes", "sites: ", "the access is right"):
        assert part in done.stdout


def test_figures_as_json(command, checkpoint: Path) -> None:
    done = command("check", checkpoint, "--json")
    assert done.exit_code == 0
    figures = json.loads(done.stdout)
    assert figures["passed"] is True
    assert figures["no_op_bit_identical"] is True
    assert figures["logit_difference"] <= figures["tolerance"]
    assert figures["trace_cost"] > 0
    assert figures["digest"] == models.load(checkpoint).digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"logit_difference": 0.5}, "plain transformers: 5.00e-01 (at most 1e-05)"),
        ({"padding_difference": 0.25}, "relative: 2.50e-01 (at most 1e-05)"),
        ({"changed_by_no_op": ("resid_post.1",)}, "changes bits at resid_post.1"),
    ],
)
def test_a_model_whose_access_is_wrong(
    command, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], said: str
) -> None:
    check_access = models.check_access

    def wrong(model: Model) -> models.AccessReport:
        return replace(check_access(model), **change)

    monkeypatch.setattr(models, "check_access", wrong)
    done = command("check", checkpoint)
    assert done.exit_code == 1
    assert said in done.stdout
    assert done.stdout.splitlines()[-1] == "the access is NOT right: do not audit this model"
    as_json = command("check", checkpoint, "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["passed"] is False


def test_a_model_that_is_not_there(command, tmp_path: Path) -> None:
    done = command("check", tmp_path / "nowhere")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"heldout.load('{tmp_path / 'nowhere'}')\nfound:    no folder at")
