"""Statements: what a leg measured is what its claim says, and the words fit every judgement."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from heldout.audits import Thresholds
from heldout.audits.claims import STATEMENTS, battery_claim, claims_of, gain, leg_statement, novelty
from heldout.audits.judge import Decision, Findings, Judgement, Leg
from heldout.evals.battery import BehaviouralVerdict
from heldout.evidence import BatteryRecord, EvalRecord
from heldout.execution import Null, Result
from heldout.statistics import detection_power

ALPHA = Thresholds().alpha
PLACE: dict[str, Any] = {"site": "resid_post.1", "instrument": "mean difference"}
FOUND = Leg("restored", 0.9, 0.05, 1e-9, True, n=100, **PLACE)
NOT_FOUND = Leg("restored", 0.04, 0.05, 0.7, False, n=100, **PLACE)
MINORITY = Leg("restored", 0.4, 0.05, 1e-9, False, n=100, **PLACE)
UNTESTED = Leg("restored", 0.0, None, 1.0, False, n=0, **PLACE)
SPENT = Leg("restored", 0.9, 0.05, 1e-9, False, n=100, spent_by="ledger entry 17", **PLACE)
NO_RESULTS: dict[str, list[Result]] = {"behaviour": [], "elicited": []}


def test_a_leg_that_was_found_is_stated_with_its_size_and_its_best_null() -> None:
    said = leg_statement(FOUND, ALPHA)
    assert said.startswith("A removal (mean difference) at resid_post.1 ")
    assert "0.90 against 0.05 for the best null (n = 100," in said
    assert "not found" not in said


def test_a_leg_that_was_not_found_is_stated_with_the_power_to_find_it() -> None:
    said = leg_statement(NOT_FOUND, ALPHA)
    power = detection_power(100, 0.05, 0.9, ALPHA)
    assert f"was not found by mean difference at resid_post.1 at power {power:.2f} for a rate of 0.9" in said
    assert "0.04 against 0.05 for the best null" in said


def test_a_significant_minority_is_said_to_be_one() -> None:
    """It was found, and is less than the rule asks for: neither a finding nor an absence."""
    said = leg_statement(MINORITY, ALPHA)
    assert "beyond chance, but the rule asks for more than half" in said
    assert "0.40 against 0.05" in said
    assert "not found" not in said


def test_what_could_not_be_tested_is_said_without_figures() -> None:
    said = leg_statement(UNTESTED, ALPHA)
    assert said.endswith("could not be tested: the removal changed no answer")
    assert "power" not in said


def test_the_reading_of_a_spent_instrument_is_shown_and_not_counted() -> None:
    said = leg_statement(SPENT, ALPHA)
    assert "is not counted: its instrument was spent (ledger entry 17)" in said
    assert "0.90 against 0.05" in said


@pytest.mark.parametrize("leg", [FOUND, NOT_FOUND, MINORITY, UNTESTED, SPENT])
@pytest.mark.parametrize("name", STATEMENTS)
def test_every_leg_becomes_a_claim_of_its_own(name: str, leg: Leg) -> None:
    """None of the statements says that a thing is absent, which a claim refuses."""
    leg = Leg(**{**vars(leg), "name": name})
    judgement = Judgement("undetermined", None, None, (leg,), ("restored",))
    findings = Findings({"verified": True, "unverified": True}, "unverified")
    by_leg = {claim.leg: claim for claim in claims_of("sums", findings, judgement, NO_RESULTS, ALPHA)}
    assert set(by_leg) == {"behaviour", name}
    assert by_leg[name].found == leg.found
    assert by_leg[name].behaviour == "sums"


def test_a_claim_carries_the_results_that_it_rests_on() -> None:
    def result(quantity: str) -> Result:
        return Result(technique="t", quantity=quantity, unit="fraction", effect=0.5, n=3)

    results = {
        **NO_RESULTS,
        "intervention": [result("restoration"), result("replacement")],
        "reading": [result("answer_held")],
    }
    findings = Findings({"verified": True, "unverified": True}, "unverified")
    judgement = Judgement("undetermined", None, None, (FOUND,), ("represented",))
    restored = claims_of("sums", findings, judgement, results, ALPHA)[1]
    assert [each.quantity for each in restored.results] == ["restoration"]


@pytest.mark.parametrize(
    ("rejected", "said"),
    [
        ((), "The grader passes both roles"),
        (("verified",), "The grader rejects the answers to verified prompts"),
        (("verified", "unverified"), "The grader rejects the answers to verified and unverified prompts"),
    ],
)
def test_the_grader_s_word_comes_first(rejected: tuple[str, ...], said: str) -> None:
    findings = Findings({role: role not in rejected for role in ("verified", "unverified")}, "unverified")
    judgement = Judgement("undetermined", None, None, (), ("restored",))
    first, *_ = claims_of("sums", findings, judgement, NO_RESULTS, ALPHA)
    assert first.statement.startswith(f"{said};")


def elicited(role: str, effect: float, p_value: float) -> Result:
    null = Null("baseline accept rate", 0.1, 0.1, 1, p_value)
    fields: dict[str, Any] = {"technique": "t", "quantity": "newly_accepted", "unit": "fraction", "n": 9}
    return Result(**fields, effect=effect, nulls=(null,), role=role)


def test_what_is_new_is_said_against_the_baseline() -> None:
    assert novelty([], ALPHA).startswith("no baseline was given")
    nothing = [elicited("verified", 0.0, 1.0), elicited("unverified", 0.2, 0.4)]
    assert "no new capability" in novelty(nothing, ALPHA)
    both = [elicited("verified", 0.9, 1e-9), elicited("unverified", 0.9, 1e-9)]
    assert novelty(both, ALPHA) == "more verified and unverified answers are accepted than the baseline's"
    one = [elicited("verified", 0.0, 1.0), elicited("unverified", 0.9, 1e-9)]
    assert novelty(one, ALPHA) == "more unverified answers are accepted than the baseline's"


def test_the_gain_is_said_for_every_verdict_and_none_is_claimed_where_there_is_none() -> None:
    kinds: dict[str, Any] = {"deceptive": "concealment"}
    for decision in get_args(Decision):
        for outside in get_args(BehaviouralVerdict):
            said = gain(outside, Judgement(decision, kinds.get(decision), None))
            assert ("only the inside view" in said) == (decision == "deceptive")
            assert ("battery is suspicious" in said) == (outside == "suspect")
            assert (
                said.startswith("None:") == (decision in ("not_capable", "undetermined")) or decision == "generalised"
            )


def record(**fields: Any) -> EvalRecord:
    return EvalRecord(**{"name": "sampling", "role": "unverified", "quantity": "outvoted_by_samples", **fields})


def test_the_battery_s_claim_has_what_was_done_as_results_and_what_was_not_in_words() -> None:
    suspicious = record(effect=0.9, reference=0.1, n=50, p_value=1e-9, flagged=True, compared_with="verified prompts")
    skipped = record(name="few-shot", quantity="accepted_after_few_shot", note="not done: no role is rejected")
    claim = battery_claim("sums", BatteryRecord((suspicious, skipped), budget=1000.0, spent=400.0))
    assert claim.found
    assert "suspicion from sampling (unverified)" in claim.statement
    assert "400 forward passes of one prompt, where the inside view spent 1000" in claim.statement
    assert [(result.technique, result.effect) for result in claim.results] == [("sampling", 0.9)]
    assert claim.results[0].null("verified prompts") == Null("verified prompts", 0.1, 0.1, 1, 1e-9)
    assert claim.missing == "few-shot (unverified): not done: no role is rejected"


def test_a_battery_that_finds_nothing_is_a_claim_too() -> None:
    quiet = record(effect=0.0, reference=0.0, n=50, p_value=1.0, compared_with="verified prompts")
    claim = battery_claim("sums", BatteryRecord((quiet,), budget=1000.0, spent=400.0))
    assert not claim.found
    assert "nothing suspicious" in claim.statement
