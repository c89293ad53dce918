"""What is wrong with the contents of a suite: each rule, and a suite that breaks that rule and no other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heldout.errors import Problem

Write = Callable[..., Path]
Refuse = Callable[[Path], dict[str, Problem]]
Rows = list[dict[str, Any]]

TOML = """\
name = "sums"
answer = "ANSWER"
max_new_tokens = TOKENS
[[behaviour]]
name = "easy"
[[behaviour]]
name = "hard"
"""


def toml(answer: str, max_new_tokens: int) -> str:
    return TOML.replace("ANSWER", answer).replace("TOKENS", str(max_new_tokens))


@pytest.mark.parametrize(
    ("line", "change", "metadata", "found", "expected", "next_step"),
    [
        (
            3,
            {"id": "u1"},
            {},
            "id 'u1' stands 2 times: samples.jsonl line 2, samples.jsonl line 3",
            "id: a text that no other sample has",
            "rename all but one of them",
        ),
        (
            3,
            {"input": " \n"},
            {},
            "samples.jsonl line 3: the input is empty",
            "input: a prompt",
            "write the prompt, or remove the sample",
        ),
        (
            2,
            {},
            {"accepts": []},
            "samples.jsonl line 2: accepts holds nothing",
            "accepts: at least one answer, none of them empty",
            "list the answers that the overseer would pass",
        ),
        (
            2,
            {},
            {"accepts": ["4", ""]},
            "samples.jsonl line 2: accepts holds an empty answer",
            "accepts: at least one answer, none of them empty",
            "list the answers that the overseer would pass",
        ),
        (
            3,
            {"target": None},
            {},
            "samples.jsonl line 3: verified, without a target",
            "target: the right answer, for every verified sample",
            "write the right answer as the target, or make the sample unverified",
        ),
        (
            3,
            {},
            {"accepts": ["4", "6"]},
            "samples.jsonl line 3: verified, target '4', accepts ['4', '6']",
            "accepts: just the target, for every verified sample",
            "accept the target alone, or make the sample unverified and its target null",
        ),
        (
            2,
            {"target": "4"},
            {},
            "samples.jsonl line 2: unverified, and target is '4'",
            "target: null for an unverified sample, whose ground truth is not known",
            "remove the target; or, if it is the right answer, make the sample verified and accept just that",
        ),
        (
            3,
            {},
            {"behaviour": "medium"},
            "samples.jsonl line 3: behaviour 'medium'",
            "behaviour: one that suite.toml lists: 'easy', 'hard'",
            "correct the name, or add a [[behaviour]] table of that name to suite.toml",
        ),
        (
            3,
            {},
            {"pair": "v9"},
            "samples.jsonl line 3: pair 'v9', which is no sample's id",
            "pair: the id of a sample of this suite",
            "correct the id, or set pair to null",
        ),
        (
            3,
            {},
            {"pair": "u1"},
            "samples.jsonl line 3: 'v2' has the pair 'u1', whose pair is 'v1'",
            "pair: two different samples that name each other",
            "let each of the two name the other, or set pair to null",
        ),
        (
            3,
            {},
            {"pair": "v2"},
            "samples.jsonl line 3: 'v2' has the pair 'v2', whose pair is 'v2'",
            "pair: two different samples that name each other",
            "let each of the two name the other, or set pair to null",
        ),
        (
            4,
            {"target": None},
            {"role": "unverified"},
            "behaviour 'hard': no verified samples, 2 unverified",
            "verified samples for every behaviour",
            "add samples whose right answer is known, or remove the behaviour",
        ),
    ],
)
def test_a_rule_for_samples(
    write: Write,
    refuse: Refuse,
    rows: Rows,
    line: int,
    change: dict[str, Any],
    metadata: dict[str, Any],
    found: str,
    expected: str,
    next_step: str,
) -> None:
    rows[line - 1].update(change)
    rows[line - 1]["metadata"].update(metadata)
    assert refuse(write(rows)) == {found: Problem(found, expected, next_step)}


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        (
            toml("next_token", 3),
            "max_new_tokens is 3, and answer is 'next_token'",
            "max_new_tokens: 1 for a suite that is answered in the next token",
        ),
        (toml("tokens", 0), "max_new_tokens is 0", "max_new_tokens: 1 or more"),
        (
            toml("tokens", 1) + '[[behaviour]]\nname = "hard"\n',
            "behaviour 'hard' is listed 2 times",
            "behaviours that each have a name of their own",
        ),
        (
            toml("tokens", 1) + '[[behaviour]]\nname = "unused"\n',
            "behaviour 'unused': no verified samples, 0 unverified",
            "verified samples for every behaviour",
        ),
    ],
)
def test_a_rule_for_the_suite(write: Write, refuse: Refuse, text: str, found: str, expected: str) -> None:
    assert {name: problem.expected for name, problem in refuse(write(toml=text)).items()} == {found: expected}


def test_a_choice_needs_choices_and_answers_among_them(write: Write, refuse: Refuse, rows: Rows) -> None:
    for row in rows:
        row["choices"] = ["3", "4"]
    rows[1]["metadata"]["accepts"] = ["A", "4"]
    rows[2].pop("choices")
    rows[4]["metadata"]["accepts"] = ["C"]
    assert {name: problem.expected for name, problem in refuse(write(rows, toml("choice", 1))).items()} == {
        "samples.jsonl line 3: 0 choices": (
            "choices: at least two, for every sample of a suite whose answer is 'choice'"
        ),
        "samples.jsonl line 5: 'C' is none of the choices": (
            "accepts: choices, each by its text or by its letter (A is the first)"
        ),
    }


def test_no_samples_at_all(write: Write, refuse: Refuse) -> None:
    assert list(refuse(write([]))) == [
        "behaviour 'easy': no verified samples, 0 unverified\n"
        "          behaviour 'hard': no verified samples, 0 unverified"
    ]


def test_every_problem_of_both_files_is_reported_at_once(write: Write, refuse: Refuse, rows: Rows) -> None:
    rows[0]["metadata"]["accepts"] = []
    rows[2]["input"] = ""
    problems = refuse(write([*rows, "not JSON"], toml("essay", 1)))
    assert list(problems) == [
        'suite.toml: answer is "essay"',
        "samples.jsonl line 6: Expecting value: line 1 column 1 (char 0)",
        "samples.jsonl line 3: the input is empty",
        "samples.jsonl line 1: accepts holds nothing",
    ]


def test_a_pair_that_may_stand_in_an_unreadable_line_is_not_called_missing(
    write: Write, refuse: Refuse, rows: Rows
) -> None:
    assert list(refuse(write([rows[0], "{", *rows[2:]]))) == [
        "samples.jsonl line 2: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    ]
