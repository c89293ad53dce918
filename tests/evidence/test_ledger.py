import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest

from heldout.errors import InputError
from heldout.evidence.ledger import GENESIS, Instrument, Ledger

PROBE = Instrument("truth", "resid_post.3", "linear", "sha256:d1")
MODEL = ("sha256:m2", "sha256:m1")


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.jsonl")


def fill(ledger, *uses):
    return [ledger.append(PROBE, use, lineage=MODEL, data=("sha256:d1",)) for use in uses]


def test_entries_are_read_as_they_were_appended(ledger):
    written = fill(ledger, "fit", "select", "test")
    assert list(ledger.read()) == written
    assert [entry.previous for entry in written] == [GENESIS, written[0].hash, written[1].hash]
    assert ledger.check() is None
    assert ledger.head() == written[-1].hash


def test_the_file_that_is_not_there_is_an_empty_ledger(ledger):
    assert ledger.read() == ()
    assert ledger.check() is None
    assert str(ledger.status(PROBE)) == "fresh"


@pytest.mark.parametrize(
    ("uses", "status"),
    [
        ((), "fresh"),
        (("fit",), "fresh"),
        (("fit", "test", "test"), "queried(2)"),
        (("fit", "test", "select", "test"), "selected-on"),
        (("select", "train", "test"), "trained-on"),
        (("train", "fit", "select"), "trained-on"),
    ],
)
def test_status(ledger, uses, status):
    fill(ledger, *uses)
    found = ledger.status(PROBE)
    assert str(found) == status
    assert found.spent == (status in ("selected-on", "trained-on"))
    assert found.queries == uses.count("test")


def test_a_twin_of_a_spent_instrument_is_spent_too_and_others_are_not(ledger):
    (spending,) = fill(ledger, "train")
    assert ledger.status(replace(PROBE, data="sha256:other")).spent_by == spending
    for fresh in (replace(PROBE, concept="cue"), replace(PROBE, site="resid_post.2"), replace(PROBE, family="mlp")):
        assert ledger.status(fresh).state == "fresh"


def test_use_on_another_lineage_does_not_spend(ledger):
    fill(ledger, "train")
    assert ledger.status(PROBE, ["sha256:m9"]).state == "fresh"
    assert ledger.status(PROBE, ["sha256:m3", "sha256:m2"]).state == "trained-on"


def broken(ledger, change):
    lines = ledger.path.read_text().splitlines(keepends=True)
    ledger.path.write_text("".join(change(lines)))
    return ledger


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda lines: [lines[0], lines[1].replace('"test"', '"fit"'), *lines[2:]],
            r"entry 1 \(line 2\) does not have",
        ),
        (lambda lines: lines[1:], r"entry 0 \(line 1\) has the sequence number 1"),
        (lambda lines: [lines[0], lines[2]], r"entry 1 \(line 2\) has the sequence number 2"),
        (lambda lines: [lines[0], lines[2], lines[1]], r"entry 1 \(line 2\) has the sequence number 2"),
        (lambda lines: [*lines, lines[0]], r"entry 3 \(line 4\) has the sequence number 0"),
        (lambda lines: [*lines[:2], lines[2][:40]], r"entry 2 \(line 3\) cannot be read"),
        (lambda lines: [*lines[:2], lines[2].rstrip()], r"entry 2 \(line 3\) is cut off"),
        (lambda lines: [*lines[:1], "\n", *lines[1:]], r"entry 1 \(line 2\) cannot be read"),
    ],
)
def test_the_first_broken_entry_is_named(ledger, change, said):
    fill(ledger, "test", "test", "test")
    problem = broken(ledger, change).check()
    assert problem is not None
    with pytest.raises(InputError, match=said):
        ledger.read()


def test_an_entry_that_was_forged_with_its_own_hash_breaks_the_chain(ledger):
    fill(ledger, "train", "test")
    first, second = ledger.read()
    forged = replace(first, use="fit", hash="")
    forged = replace(forged, hash=forged.expected_hash)
    ledger.path.write_text("".join(json.dumps(e.to_json(), sort_keys=True, separators=(",", ":")) + "\n"
                                   for e in (forged, second)))  # fmt: skip
    problem = ledger.check()
    assert problem is not None
    assert problem.found.startswith("entry 1 (line 2) follows")


def test_a_ledger_with_a_torn_end_is_not_added_to(ledger):
    fill(ledger, "test")
    with ledger.path.open("a") as file:
        file.write('{"half": ')
    before = ledger.path.read_bytes()
    with pytest.raises(InputError, match="the last entry cannot be read"):
        fill(ledger, "test")
    assert ledger.path.read_bytes() == before


def test_long_entries_are_found_from_the_end(ledger):
    for length in (10, 40_000, 10):
        ledger.append(PROBE, "test", lineage=MODEL, note="é" * length)
    assert len(ledger.read()) == 3


def test_unusable_entries_are_refused_with_every_problem(ledger):
    with pytest.raises(InputError) as raised:
        ledger.append(PROBE, "trained", lineage=())
    assert len(raised.value.problems) == 2
    assert not ledger.path.exists()


def append_some(path):
    for _ in range(10):
        Ledger(path).append(PROBE, "test", lineage=MODEL)


def test_processes_that_append_together_leave_one_unbroken_chain(ledger):
    with ProcessPoolExecutor(3) as pool:
        list(pool.map(append_some, [ledger.path] * 3))
    assert ledger.check() is None
    assert ledger.status(PROBE).queries == 30
