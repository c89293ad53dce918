"""The grader of suites as a scorer of Inspect: an answer passes if the sample accepts just it."""

from __future__ import annotations

from collections.abc import Sequence

from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState


@scorer(metrics=[accuracy(), stderr()])
def accepts() -> Scorer:
    """Passes an output, without the white space around it, that is one of the answers in the sample's metadata `accepts`;
    of the target, where a sample has no such metadata."""

    async def score(state: TaskState, target: Target) -> Score:
        answer = state.output.completion.strip()
        return Score(value=CORRECT if answer in accepted_by(state, target) else INCORRECT, answer=answer)

    return score


def accepted_by(state: TaskState, target: Target) -> Sequence[str]:
    """The answers that the overseer would pass."""
    return list(state.metadata.get("accepts", target.target))
