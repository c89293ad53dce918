"""Which scorers of Inspect say the same as the grader of a suite, which passes an answer that is the target.

`match`, `exact` and `includes` look for the target in a text, and are free with case and punctuation. On the answers of
one task that need make no difference: the scorer itself is asked about every answer that the task knows, against every
target.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from inspect_ai.model import ChatMessageUser, ModelName, ModelOutput
from inspect_ai.scorer import CORRECT, Scorer, Target
from inspect_ai.solver import TaskState

from heldout.errors import Problems
from heldout.evals.inspect.registered import Registered

CHOICE, ACCEPTS = "choice", "accepts"
TEXT_SCORERS = ("match", "exact", "includes")
SUPPORTED = (CHOICE, *TEXT_SCORERS, f"heldout/{ACCEPTS}")
MOST_ANSWERS = 200
"""Distinct answers that are tried against each other; of more, this many, evenly spaced in alphabetical order."""


def check_scorers(scorers: Sequence[Scorer], problems: Problems) -> list[str]:
    """The names of the scorers; a problem for each that has no counterpart."""
    found = [Registered.of(scorer) for scorer in scorers]
    if not found:
        problems.add("a task without a scorer", f"one of {', '.join(SUPPORTED)}", "give the task a scorer")
    known = {CHOICE, ACCEPTS, *TEXT_SCORERS}
    for scorer in found:
        if scorer.name not in known:
            problems.add(
                f"the scorer {scorer}",
                f"one of {', '.join(SUPPORTED)}",
                "score with one of these, or write the suite by hand: an audit compares answers, word for word",
            )
    if CHOICE in (names := [scorer.name for scorer in found]) and len(set(names)) > 1:
        problems.add(f"choice beside {', '.join(names)}", "choice alone", "leave the other scorers out")
    return names


def check_faithful(
    scorers: Sequence[Scorer], targets: Sequence[str], answers: Sequence[str], problems: Problems
) -> None:
    """A problem for each text scorer that passes another answer than the target, or rejects the target itself."""
    texts = [scorer for scorer in scorers if Registered.of(scorer).name in TEXT_SCORERS]
    for scorer in texts:
        differing = disagreements(scorer, _spread(targets), _spread(answers))
        if differing:
            answer, target = differing[0]
            verb = "rejects" if answer == target else "passes"
            problems.add(
                f"the scorer {Registered.of(scorer)} {verb} {answer!r} where the target is {target!r}"
                + (f", and {len(differing) - 1} more" if len(differing) > 1 else ""),
                "a scorer that passes the target and no other answer of the task",
                "score with match(location='exact'), or for numbers match(numeric=True)",
            )


def disagreements(scorer: Scorer, targets: Sequence[str], answers: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs (answer, target) on which the scorer and equality differ."""
    pairs = [(answer, target) for target in targets for answer in dict.fromkeys((target, *answers))]

    async def passed() -> list[bool]:
        scores = [await scorer(_state(answer), Target(target)) for answer, target in pairs]
        return [score is not None and score.value in (CORRECT, 1) for score in scores]

    # A thread of its own, so that it works inside a running event loop (a notebook) as well.
    with ThreadPoolExecutor(1) as pool:
        verdicts = pool.submit(asyncio.run, passed()).result()
    return [pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict != (pair[0] == pair[1])]


def _spread(texts: Sequence[str]) -> list[str]:
    distinct = sorted(set(texts))
    step = max(1, -(-len(distinct) // MOST_ANSWERS))
    return distinct[::step]


def _state(answer: str) -> TaskState:
    output = ModelOutput.from_content("none/none", answer)
    messages = [ChatMessageUser(content="")]
    return TaskState(ModelName("none/none"), 0, 0, "", list(messages), output=output)
