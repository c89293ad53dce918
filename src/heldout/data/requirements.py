"""What a test needs of its samples, checked before any work is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from heldout.data.findings import Findings
from heldout.data.samples import Role, Sample
from heldout.data.suite import Suite
from heldout.errors import InputError


def check_samples(samples: Sequence[Sample], minimum_verified: int, minimum_unverified: int) -> None:
    """Raises InputError where there are fewer samples of either role than a test needs."""
    findings = Findings("check_samples(samples)")
    needed: dict[Role, int] = {"verified": minimum_verified, "unverified": minimum_unverified}
    for role, minimum in needed.items():
        count = sum(sample.role == role for sample in samples)
        if count < minimum:
            findings.add(
                f"{count} {role} samples",
                f"at least {minimum} {role} samples, which is what this test needs",
                f"add {minimum - count} or more {role} samples",
            )
    findings.raise_if_any()


def check_tokens(
    suite: Suite,
    count_tokens: Callable[[str], int],
    answer_token: Callable[[str], int],
    context_length: int,
) -> None:
    """Raises InputError where a model cannot take the suite's prompts or give its answers.

    `count_tokens` gives the length of a prompt in tokens, as the model reads it; `answer_token` the id of an answer,
    and raises InputError where that is not one token, as `Model.answer_token` does; `context_length` is in tokens.
    Under `next_token` each answer must be one token; each prompt and the `max_new_tokens` after it must fit the
    context. Of each kind the first five places are listed.
    """
    findings = Findings(f"check_tokens(suite {suite.name!r})", shown=5)
    if suite.answer == "next_token":
        _check_answers(suite, answer_token, findings)
    for sample in suite.samples:
        length = count_tokens(sample.input)
        if length + suite.max_new_tokens > context_length:
            findings.add(
                f"sample {sample.id!r}: {length} tokens, and {suite.max_new_tokens} for the answer",
                f"prompts that leave room for their answers in a context of {context_length} tokens",
                "shorten the prompts, or audit a model with a longer context",
            )
    findings.raise_if_any()


def _check_answers(suite: Suite, answer_token: Callable[[str], int], findings: Findings) -> None:
    first_use = {answer: sample.id for sample in reversed(suite.samples) for answer in sample.accepts}
    for answer, name in sorted(first_use.items()):
        try:
            answer_token(answer)
        except InputError as error:
            findings.add(
                f"answer {answer!r} of sample {name!r}: {'; '.join(problem.found for problem in error.problems)}",
                "answers of one token, in a suite that is answered in the next token",
                "set answer in suite.toml to 'tokens' and max_new_tokens to the longest answer, or use other answers",
            )
