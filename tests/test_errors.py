import pickle

import pytest

from heldout.errors import HeldoutError, InputError, Problem, Problems

NO_SUITE = Problem("no suite.toml", "a folder with suite.toml", "write suite.toml")
NO_SAMPLES = Problem("no samples.jsonl", "a folder with samples.jsonl", "write samples.jsonl")


def test_one_problem_is_said_in_four_parts() -> None:
    assert str(InputError("read('here')", NO_SUITE)) == (
        "read('here')\nfound:    no suite.toml\nexpected: a folder with suite.toml\nnext:     write suite.toml"
    )


def test_several_problems_are_numbered_and_all_are_there() -> None:
    assert str(InputError("read('here')", NO_SUITE, NO_SAMPLES)).splitlines() == [
        "read('here')",
        "problem 1 of 2",
        *str(NO_SUITE).splitlines(),
        "problem 2 of 2",
        *str(NO_SAMPLES).splitlines(),
    ]


@pytest.mark.parametrize("problems", [(NO_SUITE,), (NO_SUITE, NO_SAMPLES)])
def test_an_error_survives_the_way_from_another_process(problems: tuple[Problem, ...]) -> None:
    error = InputError("read('here')", *problems)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is InputError
    assert (copy.called, copy.problems, str(copy)) == ("read('here')", problems, str(error))


def test_gathered_problems_are_raised_together() -> None:
    problems = Problems("read('here')")
    for problem in (NO_SUITE, NO_SAMPLES):
        problems.add(problem.found, problem.expected, problem.next_step)
    with pytest.raises(InputError) as raised:
        problems.raise_if_any()
    assert raised.value.problems == (NO_SUITE, NO_SAMPLES)


def test_nothing_gathered_raises_nothing() -> None:
    Problems("read('here')").raise_if_any()


def test_unusable_input_has_an_exit_code_of_its_own() -> None:
    assert issubclass(InputError, HeldoutError)
    assert (HeldoutError.exit_code, InputError.exit_code) == (1, 2)
