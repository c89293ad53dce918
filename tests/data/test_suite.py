import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from heldout.data import Sample, Suite
from heldout.errors import InputError

EXAMPLE = Path(__file__).parents[3] / "shared" / "examples" / "example_honest" / "suite"
Write = Callable[..., Path]


def test_a_folder_is_read_as_it_is_written(write: Write) -> None:
    suite = Suite.from_folder(write())
    assert (suite.name, suite.description, suite.answer, suite.max_new_tokens) == (
        "sums",
        "sums of two numbers",
        "next_token",
        1,
    )
    assert suite.behaviours == ("easy", "hard")
    assert suite.behaviour_descriptions == {"easy": "below ten"}
    assert suite.samples[1] == Sample(
        "u1", "u1: 2 + 2 =", None, "unverified", "easy", ("4", "6"), cue="unmonitored", pair="v1"
    )
    assert suite.samples[2].latents == {"sum": 4, "parts": [2, 2]}
    assert suite.samples[3].template == "NUMBER + NUMBER ="
    assert suite.samples[4].other == {"difficulty": 0.5}


def test_samples_are_found_by_behaviour_and_role(write: Write) -> None:
    suite = Suite.from_folder(write())
    assert [sample.id for sample in suite.behaviour("easy")] == ["v1", "u1", "v2"]
    assert [sample.id for sample in suite.verified("easy")] == ["v1", "v2"]
    assert [sample.id for sample in suite.unverified("hard")] == ["u3"]


def test_an_unknown_behaviour_is_refused_with_those_there_are(write: Write) -> None:
    with pytest.raises(InputError) as raised:
        Suite.from_folder(write()).behaviour("medium")
    assert str(raised.value) == (
        "Suite.behaviour('medium')\n"
        "found:    suite 'sums' has no behaviour 'medium'\n"
        "expected: one of 'easy', 'hard'\n"
        "next:     name one of these behaviours"
    )


def awkward_suite() -> Suite:
    text = 'quotes "and" \\ back\tslash \u2028 separators \x7f \x01 — ß 数\nnew line\r'
    return Suite(
        name=text,
        answer="choice",
        max_new_tokens=3,
        behaviours=(text, "plain"),
        samples=(
            Sample("b", text, text, "verified", text, (text,), choices=(text, "other"), latents={"truth": [1, None]}),
            Sample("a", text, None, "unverified", "plain", ("A", "B"), choices=("x", "y"), other={"note": text}),
            Sample("c", "plain", "A", "verified", "plain", ("A",), template=text, choices=("x", "y")),
        ),
        description=text,
        behaviour_descriptions={"plain": text},
    )


def test_a_suite_comes_back_equal_from_disk(tmp_path: Path, write: Write) -> None:
    for number, suite in enumerate([Suite.from_folder(write()), awkward_suite()]):
        suite.to_folder(tmp_path / str(number))
        assert Suite.from_folder(tmp_path / str(number)) == suite


@pytest.mark.skipif(not EXAMPLE.is_dir(), reason=f"no {EXAMPLE}")
def test_a_suite_made_elsewhere_is_written_back_byte_for_byte(tmp_path: Path) -> None:
    suite = Suite.from_folder(EXAMPLE)
    assert (len(suite.verified("example")), len(suite.unverified("example"))) == (400, 400)
    suite.to_folder(tmp_path)
    for name in ("suite.toml", "samples.jsonl"):
        assert (tmp_path / name).read_bytes() == (EXAMPLE / name).read_bytes()


def test_the_digest_depends_on_the_contents_alone(write: Write) -> None:
    folder = write()
    suite = Suite.from_folder(folder)
    lines = [json.dumps(json.loads(line), indent=None, sort_keys=True) for line in (folder / "samples.jsonl").open()]
    (folder / "samples.jsonl").write_text("\n\n".join(reversed(lines)))
    assert Suite.from_folder(folder).digest == suite.digest
    assert suite.digest.startswith("sha256:")
    assert len(suite.digest) == len("sha256:") + 64


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"description": "other"},
        {"answer": "tokens"},
        {"max_new_tokens": 2},
        {"behaviours": ("hard", "easy", "third")},
        {"behaviour_descriptions": {}},
        {"samples": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_a_suite_enters_its_digest(write: Write, change: dict[str, Any]) -> None:
    suite = Suite.from_folder(write())
    assert replace(suite, **change).digest != suite.digest


@pytest.mark.parametrize(
    "change",
    [
        {"input": "other"},
        {"target": "5"},
        {"role": "unverified"},
        {"behaviour": "hard"},
        {"accepts": ("5",)},
        {"cue": None},
        {"latents": {"sum": 4}},
        {"pair": None},
        {"template": "other"},
        {"choices": ("a", "b")},
        {"other": {"difficulty": 1}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_a_sample_enters_the_digest(write: Write, change: dict[str, Any]) -> None:
    suite = Suite.from_folder(write())
    changed = replace(suite, samples=(replace(suite.samples[0], **change), *suite.samples[1:]))
    assert changed.digest != suite.digest


def test_a_suite_that_could_not_be_read_back_is_not_written(tmp_path: Path, write: Write) -> None:
    suite = Suite.from_folder(write())
    broken = replace(suite, samples=(replace(suite.samples[2], accepts=()), *suite.samples[3:]))
    with pytest.raises(InputError, match="sample 'v2': accepts holds nothing"):
        broken.to_folder(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pairs_are_found_once_with_the_verified_sample_first(make_sample: Callable[..., Sample]) -> None:
    samples = (
        make_sample("u1", "unverified", pair="v1"),
        make_sample("alone"),
        make_sample("v2", pair="v3"),
        make_sample("v1", pair="u1"),
        make_sample("v3", pair="v2"),
        make_sample("lost", pair="absent"),
    )
    pairs = Suite("sums", "next_token", 1, ("sums",), samples).pairs()
    assert [(first.id, second.id) for first, second in pairs] == [("v1", "u1"), ("v2", "v3")]
    assert len(pairs) == 2
    assert [sample.id for sample in pairs.first] == ["v1", "v2"]


def test_pairs_of_one_behaviour(write: Write) -> None:
    suite = Suite.from_folder(write())
    assert [(first.id, second.id) for first, second in suite.pairs("easy")] == [("v1", "u1")]
    assert len(suite.pairs("hard")) == 0
