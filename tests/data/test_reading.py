"""What is wrong with the form of a suite's files: every problem, with its line, in words that say what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from heldout.data import Suite
from heldout.errors import InputError, Problem

Write = Callable[..., Path]
Refuse = Callable[[Path], dict[str, Problem]]
GOOD = (
    '{"id": "good", "input": "2 + 2 =", "target": "4", '
    '"metadata": {"role": "verified", "behaviour": "easy", "accepts": ["4"]}}'
)
GOOD_HARD = GOOD.replace("good", "good too").replace("easy", "hard")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        Suite.from_folder(tmp_path / "absent")
    assert str(raised.value) == (
        f"Suite.from_folder('{tmp_path}/absent')\n"
        f"found:    there is no folder {tmp_path}/absent\n"
        "expected: a folder with suite.toml and samples.jsonl\n"
        "next:     check the path, or write a suite there with Suite.to_folder"
    )


def test_a_file_is_no_folder(write: Write, refuse: Refuse) -> None:
    path = write() / "suite.toml"
    assert list(refuse(path)) == [f"{path} is a file"]


def test_an_empty_folder_lacks_both_files(tmp_path: Path, refuse: Refuse) -> None:
    (problem,) = refuse(tmp_path).values()
    assert str(problem) == (
        "found:    no suite.toml\n"
        "          no samples.jsonl\n"
        "expected: a folder with suite.toml and samples.jsonl\n"
        "next:     name the suite's own folder, or write it"
    )


def test_toml_that_cannot_be_read(write: Write, refuse: Refuse) -> None:
    (problem,) = refuse(write(toml='name = "sums\nanswer =')).values()
    assert problem.found.startswith("suite.toml cannot be read: ")
    assert "line 1" in problem.found
    assert problem.next_step == "correct suite.toml at that place"


def test_text_that_is_not_utf8(write: Write, refuse: Refuse) -> None:
    folder = write()
    (folder / "samples.jsonl").write_bytes(b"\xff\n")
    (problem,) = refuse(folder).values()
    assert problem.found.startswith("samples.jsonl: 'utf-8' codec can't decode byte 0xff")
    assert problem.next_step == "save the file in UTF-8"


def test_every_misfit_of_suite_toml(write: Write, refuse: Refuse) -> None:
    toml = (
        'answer = "essay"\nmax_new_tokens = "one"\nmax_tokens = 3\n[[behaviour]]\nname = ""\n[[behaviour]]\nextra = 1'
    )
    problems = {problem.expected: problem for problem in refuse(write([GOOD], toml=toml)).values()}
    assert {expected: problem.found for expected, problem in problems.items()} == {
        "name: a text": "suite.toml: no name",
        "answer: 'next_token', 'tokens' or 'choice'": 'suite.toml: answer is "essay"',
        "max_new_tokens: a whole number": 'suite.toml: max_new_tokens is "one"',
        "at least one [[behaviour]] table with a name, and a description if you like": (
            'suite.toml: behaviour.0.name is ""\n          suite.toml: no behaviour.1.name'
        ),
        "only the settings name, description, answer, max_new_tokens, behaviour": (
            "suite.toml: unknown name 'behaviour.1.extra'\n          suite.toml: unknown name 'max_tokens'"
        ),
    }


@pytest.mark.parametrize(
    ("line", "found", "expected"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)", "one JSON object a line"),
        ("[1]", "the line is [1]", "one JSON object a line"),
        (GOOD.replace('"4", ', "NaN, "), "NaN is not JSON", "one JSON object a line"),
        (GOOD.replace('"id": "good", ', ""), "no id", "id: a text that no other sample has"),
        (GOOD.replace('"good"', "1.5"), "id is 1.5", "id: a text that no other sample has"),
        (GOOD.replace('"verified"', '"checked"'), 'metadata.role is "checked"', "role: 'verified' or 'unverified'"),
        (GOOD.replace('"2 + 2 ="', "5"), "input is 5", "input: the prompt as one text"),
        (GOOD.replace('["4"]', '"4"'), 'metadata.accepts is "4"', "accepts: a list of texts"),
        (GOOD.replace('["4"]', "[4]"), "metadata.accepts.0 is 4", "accepts: a list of texts"),
        (GOOD.replace('"4", "m', '4, "m'), "target is 4", "target: the right answer as one text, or null"),
        (
            GOOD.replace('"2 + 2 ="', '[{"role": "user", "content": "2 + 2 ="}]'),
            'input is [{"role": "user", "content": "2 + 2 ="}]',
            "input: the prompt as one text; lists of chat messages are not read yet",
        ),
    ],
)  # fmt: skip
def test_a_line_that_does_not_fit(write: Write, refuse: Refuse, line: str, found: str, expected: str) -> None:
    (problem,) = refuse(write([GOOD, "", line, GOOD_HARD])).values()
    assert (problem.found, problem.expected) == (f"samples.jsonl line 3: {found}", expected)


def test_a_field_that_inspect_does_not_have(write: Write, refuse: Refuse) -> None:
    (problem,) = refuse(write([GOOD, GOOD_HARD.replace('"target"', '"cue": "x", "target"')])).values()
    assert str(problem) == (
        "found:    samples.jsonl line 2: unknown name 'cue'\n"
        "expected: only the fields id, input, target, choices, metadata; what else there is to say goes into metadata\n"
        "next:     correct the name, or move the field into metadata"
    )


def test_metadata_that_is_nearly_a_known_field(write: Write, refuse: Refuse) -> None:
    (problem,) = refuse(write([GOOD, GOOD_HARD.replace('"role"', '"pairs": "good", "role"')])).values()
    assert problem.found == "samples.jsonl line 2: metadata.pairs, which is nearly 'pair'"


def test_a_whole_number_is_an_id(write: Write) -> None:
    assert Suite.from_folder(write([GOOD.replace('"good"', "17"), GOOD_HARD])).samples[0].id == "17"


def test_many_places_of_one_kind_are_counted_beyond_twenty(write: Write, refuse: Refuse) -> None:
    (problem,) = refuse(write([GOOD, GOOD_HARD, *["nothing"] * 23])).values()
    lines = problem.found.splitlines()
    assert lines[0].startswith("samples.jsonl line 3: ")
    assert lines[19].strip().startswith("samples.jsonl line 22: ")
    assert lines[20].strip() == "and 3 more"
