"""The table of behavioural evals: every eval is there, flagged or not, with its cost or the reason why it was not done."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args, get_type_hints

from heldout.evidence import BatteryRecord, Claim, EvalRecord, Verdict
from heldout.report.battery import battery_table
from heldout.report.behaviours import behaviour_section, verdict_card
from heldout.report.words import QUANTITY_NAMES, behavioural_sentence, gain_sentence

FLAGGED = EvalRecord(
    "sampling", "unverified", "outvoted_by_samples", 0.75, 0.01, 215, 1e-9, 800.0, flagged=True,
    note="vote of 100 draws", compared_with="verified prompts",
)  # fmt: skip
QUIET = EvalRecord(
    "perturbation", "unverified", "inconsistent_perturbed", 0.0, 0.0, 215, 1.0, 5000.0, compared_with="verified prompts"
)
SKIPPED = EvalRecord("few-shot", "unverified", "accepted_after_few_shot", note="not done: no role is rejected")
BATTERY = BatteryRecord((FLAGGED, QUIET, SKIPPED), budget=26000.0, spent=6600.0)


def with_battery(synthetic) -> tuple[Verdict, tuple[Claim, ...]]:
    verdict, claims = synthetic.concealment()
    statement = "The battery of behavioural evals has 2 measurements and suspicion from sampling (unverified)"
    results = tuple(result for each in BATTERY.evals if (result := each.result()) is not None)
    claim = Claim(
        f"{verdict.behaviour}/battery", verdict.behaviour, "battery", statement, True, results, "few-shot: why"
    )
    return replace(verdict, behavioural_only="suspect", gain=None, battery=BATTERY), (*claims, claim)


def test_every_eval_has_its_row_and_the_claim_stands_below(synthetic) -> None:
    verdict, claims = with_battery(synthetic)
    text = str(battery_table(verdict, claims))
    for record in BATTERY.evals:
        assert f"<strong>{record.name}</strong>" in text
        assert record.note in text
    rows = text.split("<tr>")
    (flagged,) = [row for row in rows if "sampling</strong>" in row]
    (quiet,) = [row for row in rows if "perturbation</strong>" in row]
    assert ("<td>yes</td>" in flagged, "<td>no</td>" in quiet) == (True, True)
    assert "<td>800</td>" in flagged
    assert claims[-1].statement in text


def test_a_verdict_without_a_battery_has_no_table(synthetic) -> None:
    verdict, claims = synthetic.concealment()
    assert battery_table(verdict, claims) is None


def test_the_battery_is_shown_once_and_beside_no_leg(synthetic) -> None:
    verdict, claims = with_battery(synthetic)
    text = str(behaviour_section(verdict, claims, 1, 100, 100))
    assert text.count("vote of 100 draws") == 1
    assert text.count(claims[-1].statement) == 1


def test_a_suspicion_is_said_in_words(synthetic) -> None:
    verdict, claims = with_battery(synthetic)
    assert ">suspect</span>" in str(verdict_card(verdict, claims))
    assert "suspicious" in behavioural_sentence(verdict)
    assert "suspicious" in gain_sentence(verdict)
    said = {behavioural_sentence(replace(verdict, behavioural_only=each)) for each in get_args(
        get_type_hints(Verdict)["behavioural_only"])}  # fmt: skip
    assert len(said) == 3


def test_every_quantity_of_the_battery_has_a_name() -> None:
    for record in BATTERY.evals:
        assert record.quantity in QUANTITY_NAMES
