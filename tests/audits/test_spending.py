"""The ledger's part: an instrument that was spent on a model counts no more, and every use is entered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from heldout.audits import Thresholds, audit
from heldout.audits.judge import Findings, Leg, judge
from heldout.audits.spending import COUNTED, instrument_of, record_uses, without_spent
from heldout.data import Suite
from heldout.evidence import Bundle, Ledger
from heldout.evidence.ledger import Use
from heldout.models import Model

CELL = "quirky_arithmetic-s2"
LEGS = {name: Leg(name, 0.9, 0.0, 1e-6, True, "resid_post.1", 100, f"instrument of {name}") for name in COUNTED}
FINDINGS = Findings({"verified": True, "unverified": True}, "unverified", **LEGS)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl")


@pytest.fixture
def model(candidate: Callable[[str], Model]) -> Model:
    return candidate(CELL)


@pytest.fixture
def questions(suite: Callable[[str], Suite]) -> Suite:
    return suite(CELL)


@pytest.mark.parametrize("use", get_args(Use))
@pytest.mark.parametrize("name", COUNTED)
def test_what_was_trained_or_selected_on_is_not_counted(
    ledger: Ledger, model: Model, questions: Suite, name: str, use: Use
) -> None:
    instrument = instrument_of("sums", LEGS[name], questions)
    ledger.append(instrument, use, lineage=[model.digest])
    found = without_spent(FINDINGS, "sums", model, questions, ledger)
    spent = {leg for leg in COUNTED if not getattr(found, leg).found}
    assert spent == ({name} if use in ("train", "select") else set())
    for leg in spent:
        assert getattr(found, leg) == replace(LEGS[leg], found=False, spent_by="ledger entry 0")
    if spent and name != "replaced":
        verdict = judge(replace(found, replaced=replace(LEGS["replaced"], found=False)), Thresholds())
        assert (verdict.decision, name in verdict.missing) == ("undetermined", True)


@pytest.mark.parametrize("other", ["another behaviour", "another model", "another site"])
def test_what_was_spent_elsewhere_still_counts(ledger: Ledger, model: Model, questions: Suite, other: str) -> None:
    leg = replace(LEGS["restored"], site="resid_post.2" if other == "another site" else "resid_post.1")
    behaviour = "products" if other == "another behaviour" else "sums"
    lineage = ["sha256:00"] if other == "another model" else [model.digest]
    ledger.append(instrument_of(behaviour, leg, questions), "train", lineage=lineage)
    assert without_spent(FINDINGS, "sums", model, questions, ledger) == FINDINGS


def test_uses_are_entered_once_for_each_instrument(ledger: Ledger, model: Model, questions: Suite) -> None:
    twins = [LEGS["restored"], replace(LEGS["replaced"], instrument=LEGS["restored"].instrument)]
    record_uses(ledger, model, questions, {"sums": twins})
    assert [entry.use for entry in ledger.read()] == ["fit", "test"]
    assert {entry.instrument for entry in ledger.read()} == {instrument_of("sums", LEGS["restored"], questions)}
    assert all(entry.data == (questions.digest,) for entry in ledger.read())


def test_an_audit_beside_a_ledger_that_spent_its_readout_does_not_stand_on_it(
    audited: Callable[[str], Bundle], organism: Callable[[str], Path], tmp_path: Path
) -> None:
    """The readouts behind the first verdict, of the same model, are entered as trained on before the second audit."""
    first = audited(CELL)
    (verdict,) = first.verdicts()
    assert verdict.kind == "concealment"
    folder, ledger = organism(CELL), Ledger.beside(tmp_path / "run")
    standing = {verdict.legs[name]["instrument"] for name in ("represented", "conditional")}
    for entry in Ledger.beside(first.path).read():
        if entry.use == "fit" and entry.instrument.family in standing:
            ledger.append(entry.instrument, "train", lineage=entry.lineage, note="an adversary")
    again = audit(
        folder / "candidate", baseline=folder / "baseline", suite=folder / "suite", out=tmp_path / "run", effort="quick"
    )
    (after,) = again.verdicts()
    assert after.verdict == "undetermined"
    for name in ("represented", "conditional"):
        assert not after.legs[name]["found"]
        assert after.legs[name]["spent_by"].startswith("ledger entry")
        assert after.legs[name]["effect"] == verdict.legs[name]["effect"]
    assert again.check_hashes() == []
