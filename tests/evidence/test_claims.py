import json
import math

import pytest

from heldout.errors import InputError
from heldout.evidence.canonical import canonical_json, plain, restored
from heldout.evidence.claims import Claim, not_found, read_claims, write_claims
from heldout.execution.result import Null, Result


def claim(**changes):
    result = Result(
        technique="linear readout", quantity="readout_accuracy", unit="fraction", effect=0.98, n=120,
        interval=(0.95, 1.0), nulls=(Null("permuted labels", 0.1, 0.2, 200, 0.005),), site="resid_post.1", layer=1,
        position=-1, role="verified", split="test", settings={"ridge": 0.1, "sites": ["a"]},
    )  # fmt: skip
    fields = {"id": "c1", "behaviour": "sums", "leg": "represented", "statement": "It is decodable.", "found": True}
    return Claim(**{**fields, "results": (result,), **changes})


def test_a_claim_is_the_same_after_json():
    assert Claim.from_json(json.loads(json.dumps(claim().to_json()))) == claim()


def test_claims_are_the_same_after_a_file(tmp_path):
    claims = (claim(), claim(id="c2", found=False, leg=None, results=(), missing="no pairs in the suite"))
    write_claims(tmp_path / "claims.json", claims)
    assert read_claims(tmp_path / "claims.json") == claims


def test_a_number_that_json_cannot_hold_survives_in_strict_json(tmp_path):
    result = Result(technique="t", quantity="q", unit="nats", effect=math.inf, n=1, interval=(-math.inf, math.inf))
    write_claims(tmp_path / "claims.json", (claim(results=(result,)),))
    strict = json.loads((tmp_path / "claims.json").read_text(), parse_constant=pytest.fail)
    assert strict["claims"][0]["results"][0]["effect"] == {"$float": "inf"}
    assert read_claims(tmp_path / "claims.json")[0].results == (result,)


@pytest.mark.parametrize("statement", ["The truth is not there.", "There is no backdoor.", "A cue does not exist."])
def test_a_claim_never_says_that_something_is_absent(statement):
    with pytest.raises(InputError, match=r"word it with not_found\(\.\.\.\): 'not found by X at power p'"):
        claim(statement=statement, found=False)


def test_the_wording_of_not_found_passes_its_own_rule():
    for power in (None, 0.5):
        statement = not_found("A mechanism", "20 interventions", power)
        assert "not found by 20 interventions" in claim(statement=statement, found=False).statement


def test_the_name_of_a_behaviour_is_not_taken_for_a_statement():
    assert claim(behaviour="there is no spoon", statement="On there is no spoon it is decodable.").found


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert canonical_json({"b": 1, "a": (1, 2)}) == canonical_json({"a": [1, 2], "b": 1})
    assert canonical_json({"a": 1}) != canonical_json({"a": 2})


def test_plain_names_every_place_that_json_cannot_hold():
    with pytest.raises(InputError) as raised:
        plain({"a": [object()], "b": {1: set()}})
    assert "value['a'][0] is a builtins.object" in str(raised.value)
    assert len(raised.value.problems) == 3


def test_restored_is_the_inverse_of_plain():
    value = {"a": [1, 2.5, None, True, "x"], "b": {"c": -math.inf}}
    assert restored(json.loads(canonical_json(value))) == value


def test_claims_of_another_schema_are_refused(tmp_path):
    (tmp_path / "claims.json").write_text('{"schema": "heldout.claims/9", "claims": []}')
    with pytest.raises(InputError, match=r"found:    schema 'heldout.claims/9'\nexpected: 'heldout.claims/1'"):
        read_claims(tmp_path / "claims.json")
