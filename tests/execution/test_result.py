"""A result is frozen, and survives the way through JSON exactly."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from heldout.execution import Null, Result

PLAIN = Result(technique="t", quantity="q", unit="nats", effect=0.1, n=3)
FULL = Result(
    technique="t",
    quantity="q",
    unit="nats",
    effect=1 / 3,
    n=7,
    interval=(0.1, 2 / 3),
    nulls=(Null("permuted", 0.1, 0.2, 99, 0.01), Null("untrained", 1e-17, 0.0, 1)),
    site="resid_post.1",
    layer=1,
    position=-1,
    role="verified",
    split="test",
    forward_passes=2.5,
    settings={"draws": [0.1, 0.2], "nested": {"on": True, "none": None}},
)


@pytest.mark.parametrize("result", [PLAIN, FULL, replace(FULL, interval=None), replace(FULL, nulls=())])
def test_json_brings_back_the_same_result(result: Result) -> None:
    back = Result.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False)))
    assert back == result
    assert (type(back.interval), type(back.nulls)) == (type(result.interval), tuple)


def test_a_null_is_found_by_its_name() -> None:
    assert FULL.null("untrained") == FULL.nulls[1]
    assert FULL.null("baseline") is None


@pytest.mark.parametrize(("frozen", "name"), [(FULL, "effect"), (FULL.nulls[0], "p_value")])
def test_what_was_measured_is_not_changed(frozen: object, name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(frozen, name, 0.0)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="surprise"):
        Result.from_json({**FULL.to_json(), "surprise": 1})
