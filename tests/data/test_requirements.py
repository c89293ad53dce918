from collections.abc import Callable

import pytest

from heldout.data import Sample, Suite, check_samples, check_tokens
from heldout.errors import InputError, Problem

MakeSample = Callable[..., Sample]


def answer_token(answer: str) -> int:
    """Of a tokenizer with one token a character."""
    if len(answer) != 1:
        raise InputError("answer_token", Problem(f"the tokens {list(answer)}", "one token", "choose another answer"))
    return ord(answer)


def suite(*samples: Sample, answer: str = "next_token", max_new_tokens: int = 1) -> Suite:
    return Suite("sums", answer, max_new_tokens, ("sums",), samples)  # type: ignore[arg-type]


def test_too_few_samples_of_either_role_are_counted(make_sample: MakeSample) -> None:
    samples = [make_sample("v1"), make_sample("v2"), make_sample("u1", "unverified")]
    check_samples(samples, 2, 1)
    with pytest.raises(InputError) as raised:
        check_samples(samples, 40, 30)
    assert str(raised.value) == (
        "check_samples(samples)\n"
        "problem 1 of 2\n"
        "found:    2 verified samples\n"
        "expected: at least 40 verified samples, which is what this test needs\n"
        "next:     add 38 or more verified samples\n"
        "problem 2 of 2\n"
        "found:    1 unverified samples\n"
        "expected: at least 30 unverified samples, which is what this test needs\n"
        "next:     add 29 or more unverified samples"
    )


def test_each_answer_of_several_tokens_is_named_once_with_its_first_sample(make_sample: MakeSample) -> None:
    samples = [make_sample("u1", "unverified", accepts=("4", "12")), make_sample("u2", "unverified", accepts=("12",))]
    with pytest.raises(InputError) as raised:
        check_tokens(suite(*samples), len, answer_token, 100)
    assert str(raised.value) == (
        "check_tokens(suite 'sums')\n"
        "found:    answer '12' of sample 'u1': the tokens ['1', '2']\n"
        "expected: answers of one token, in a suite that is answered in the next token\n"
        "next:     set answer in suite.toml to 'tokens' and max_new_tokens to the longest answer, or use other answers"
    )


def test_answers_of_several_tokens_are_fine_where_several_are_generated(make_sample: MakeSample) -> None:
    sample = make_sample("v1", target="12", accepts=("12",))
    check_tokens(suite(sample, answer="tokens", max_new_tokens=2), len, answer_token, 100)


def test_a_prompt_must_leave_room_for_its_answer(make_sample: MakeSample) -> None:
    samples = suite(make_sample("v1", input="123"), make_sample("v2", input="1234"), answer="tokens", max_new_tokens=2)
    check_tokens(samples, len, answer_token, 6)
    with pytest.raises(InputError) as raised:
        check_tokens(samples, len, answer_token, 5)
    assert str(raised.value) == (
        "check_tokens(suite 'sums')\n"
        "found:    sample 'v2': 4 tokens, and 2 for the answer\n"
        "expected: prompts that leave room for their answers in a context of 5 tokens\n"
        "next:     shorten the prompts, or audit a model with a longer context"
    )


def test_of_each_kind_five_places_are_listed(make_sample: MakeSample) -> None:
    samples = [make_sample(f"v{i}", target=f"1{i}", accepts=(f"1{i}",)) for i in range(8)]
    with pytest.raises(InputError) as raised:
        check_tokens(suite(*samples), len, answer_token, 5)
    assert len(raised.value.problems) == 2
    for problem in raised.value.problems:
        assert len(problem.found.splitlines()) == 6
        assert problem.found.endswith("\n          and 3 more")
