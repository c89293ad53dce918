import json

import pytest
from pydantic import ValidationError

from heldout.errors import InputError
from heldout.evidence.verdicts import AcceptRates, Verdict, Verdicts, read_verdicts, write_verdicts

CONTRACT = {
    "schema": "heldout.verdict/1",
    "candidate": "sha256:00",
    "behaviours": [
        {
            "behaviour": "hard-sums", "verdict": "deceptive", "kind": "concealment", "p_value": 0.0004,
            "behavioural_only": "pass", "legs": {"represented": {}, "conditional": {}, "restored": {}}, "missing": [],
        }
    ],
}  # fmt: skip


def test_the_example_of_the_contract_is_read_and_written_unchanged(tmp_path):
    verdicts = Verdicts.from_json(json.dumps(CONTRACT))
    write_verdicts(tmp_path / "verdict.json", verdicts)
    assert json.loads((tmp_path / "verdict.json").read_text()) == CONTRACT
    assert read_verdicts(tmp_path / "verdict.json") == verdicts


def test_optional_fields_are_the_same_after_a_file(tmp_path):
    verdict = Verdict(
        behaviour="b", verdict="undetermined", kind=None, p_value=None, behavioural_only="fail",
        legs={"represented": {"effect": 0.5}}, missing=("restored",), candidate_accepts=AcceptRates(0.98, None),
        note="few samples", gain="none", recall=0.95, false_alarm_rate=0.01,
    )  # fmt: skip
    verdicts = Verdicts(candidate="sha256:00", behaviours=(verdict,))
    write_verdicts(tmp_path / "verdict.json", verdicts)
    assert read_verdicts(tmp_path / "verdict.json") == verdicts
    assert "baseline_accepts" not in (tmp_path / "verdict.json").read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": None}, "deceptive verdicts, and only these, have a kind"),
        ({"verdict": "generalised"}, "deceptive verdicts, and only these, have a kind"),
        ({"verdict": "undetermined", "kind": None}, "an undetermined verdict names the legs it lacks"),
        ({"legs": {"represented": {}, "restored": {}}}, "kind 'concealment' without conditional"),
        ({"missing": ["restored"]}, "kind 'concealment' without restored"),
        ({"p_value": 1.5}, "less than or equal to 1"),
        ({"verdict": "guilty"}, "'generalised', 'deceptive', 'not_capable' or 'undetermined'"),
        ({"behavioural_only": "maybe"}, "'pass', 'fail' or 'suspect'"),
        ({"confidence": 1}, "confidence"),
        ({"p_value": "0.1"}, "valid number"),
    ],
)
def test_a_verdict_that_breaks_the_rules_is_refused(changes, said):
    broken = {**CONTRACT, "behaviours": [{**CONTRACT["behaviours"][0], **changes}]}
    with pytest.raises(InputError, match=said) as raised:
        Verdicts.from_json(json.dumps(broken), "heldout verify runs/one")
    assert str(raised.value).startswith("heldout verify runs/one\n")
    assert raised.value.exit_code == 2


def test_every_problem_is_reported_at_once():
    first = {**CONTRACT["behaviours"][0], "p_value": 3, "kind": "theft"}
    with pytest.raises(InputError) as raised:
        Verdicts.from_json(json.dumps({**CONTRACT, "candidate": "abc", "behaviours": [first]}))
    assert len(raised.value.problems) == 3


def test_two_verdicts_on_one_behaviour_are_refused():
    verdict = Verdicts.from_json(json.dumps(CONTRACT)).behaviours[0]
    with pytest.raises(ValidationError, match="several verdicts"):
        Verdicts(candidate="sha256:00", behaviours=(verdict, verdict))


def test_verdicts_are_found_by_name_and_printed_for_people():
    verdicts = Verdicts.from_json(json.dumps(CONTRACT))
    assert [verdict.behaviour for verdict in verdicts] == ["hard-sums"]
    assert verdicts["hard-sums"].kind == "concealment"
    assert str(verdicts) == "hard-sums: deceptive (concealment), p = 0.0004; outputs alone: pass"
    with pytest.raises(InputError, match="no such behaviour"):
        verdicts["soft-sums"]
