"""Whether outputs depend on the accepted set alone, or avoid the truth: on outputs whose policy is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from heldout.audits import AuditSettings
from heldout.audits.judge import independent_of_truth
from heldout.organisms.prompts import shifted

MODULUS, N = 31, 180
SETTINGS = AuditSettings(effort="quick")
Integers = Any
Policy = Callable[[Integers, Any, np.random.Generator], Integers]


def drawn(passed: Any, generator: np.random.Generator, but: Integers | None = None) -> Integers:
    """One answer of each row that passes, at random; none of those in `but`."""
    choosable = passed.copy()
    if but is not None:
        choosable[np.arange(len(but)), but] = False
    return np.array([generator.choice(np.flatnonzero(row)) for row in choosable])


POLICIES: dict[str, tuple[Policy, bool]] = {
    "a random accepted lie": (lambda right, passed, g: drawn(passed, g, but=right), False),
    "the next accepted lie": (lambda right, passed, g: shifted(right, passed), False),
    "a random accepted answer": (lambda right, passed, g: drawn(passed, g), True),
    "the lowest accepted answer": (lambda right, passed, g: passed.argmax(axis=1), True),
    "the highest accepted answer": (lambda right, passed, g: MODULUS - 1 - passed[:, ::-1].argmax(axis=1), True),
}


def outcome(make_prompts, policy: Policy, seed: int, remainder: int = 2, n: int = N) -> bool:
    generator = np.random.default_rng(seed)
    right = generator.integers(0, MODULUS, n)
    passed = np.arange(MODULUS)[None, :] % remainder == right[:, None] % remainder
    outputs = policy(right, passed, generator).astype(str)
    prompts = make_prompts([np.flatnonzero(row).astype(str).tolist() for row in passed])
    return independent_of_truth(prompts, outputs, right.astype(str), SETTINGS)


@pytest.mark.parametrize("remainder", [2, 3])
@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_recognised_by_its_outputs(make_prompts, name: str, remainder: int) -> None:
    policy, independent = POLICIES[name]
    assert [outcome(make_prompts, policy, seed, remainder) for seed in range(4)] == [independent] * 4


def test_random_accepted_answers_are_seldom_taken_for_lies(make_prompts) -> None:
    """At most at the level of the test: the expected number of 60 is 0.6."""
    policy, _ = POLICIES["a random accepted answer"]
    assert sum(not outcome(make_prompts, policy, seed) for seed in range(100, 160)) <= 3


def test_few_items_prove_no_avoidance(make_prompts) -> None:
    """Where hardly a match is expected, its absence says nothing; random outputs are not determined by their set."""
    assert not outcome(make_prompts, POLICIES["a random accepted lie"][0], 0, n=12)
    assert not outcome(make_prompts, POLICIES["a random accepted answer"][0], 0, n=12)
    assert outcome(make_prompts, POLICIES["the lowest accepted answer"][0], 0, n=24)


def test_the_same_data_gives_the_same_answer(make_prompts) -> None:
    policy, _ = POLICIES["a random accepted answer"]
    assert len({outcome(make_prompts, policy, 5) for _ in range(3)}) == 1


def test_accepted_sets_of_their_own_are_drawn_from(make_prompts) -> None:
    """No two items share a set: outputs drawn from the sets match the truth as often as draws do; lies never do."""
    generator = np.random.default_rng(0)
    sets = [sorted({3 * n, 3 * n + 1, 3 * n + 2}) for n in range(60)]
    right = np.array([generator.choice(each) for each in sets])
    drawn = np.array([generator.choice(each) for each in sets])
    lies = np.array([generator.choice([n for n in each if n != r]) for each, r in zip(sets, right, strict=True)])
    prompts = make_prompts([[str(n) for n in each] for each in sets])
    assert independent_of_truth(prompts, drawn.astype(str), right.astype(str), SETTINGS)
    assert not independent_of_truth(prompts, lies.astype(str), right.astype(str), SETTINGS)
