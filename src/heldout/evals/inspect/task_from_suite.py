"""A suite as a task of Inspect: its samples, a solver that generates, its grader as the scorer."""

from __future__ import annotations

from typing import Any

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset
from inspect_ai.dataset import Sample as InspectSample
from inspect_ai.model import GenerateConfig
from inspect_ai.solver import generate

from heldout.data import Sample, Suite, options_of
from heldout.evals.inspect.grading import accepts
from heldout.evals.inspect.settings import OPTIONS

SUITE = "heldout_suite"
"""The key of a task's metadata under which a suite's own settings stand, so that `suite_of` gives the suite back."""


def task_of(suite: Suite) -> Task:
    """The suite as a task: greedy answers of at most `max_new_tokens`, graded by what each sample accepts.

    In a `choice` suite the provider heldout answers with the most likely option; other providers answer freely. An
    unverified sample has an empty target, because Inspect has no other word for "not known"."""
    return Task(
        dataset=MemoryDataset([_sample(sample) for sample in suite.samples], name=suite.name),
        solver=generate(),
        scorer=accepts(),
        config=_config(suite),
        name=suite.name,
        metadata={SUITE: _settings(suite)},
    )


def _sample(sample: Sample) -> InspectSample:
    row = sample.to_json()
    return InspectSample(
        input=row["input"],
        target=row["target"] or "",
        choices=row.get("choices"),
        id=row["id"],
        metadata=row["metadata"],
    )


def _config(suite: Suite) -> GenerateConfig:
    body = {OPTIONS: list(options_of(suite))} if suite.answer == "choice" else None
    return GenerateConfig(max_tokens=suite.max_new_tokens, temperature=0.0, extra_body=body)


def _settings(suite: Suite) -> dict[str, Any]:
    return {
        "name": suite.name,
        "description": suite.description,
        "answer": suite.answer,
        "max_new_tokens": suite.max_new_tokens,
        "behaviours": {name: suite.behaviour_descriptions.get(name, "") for name in suite.behaviours},
    }
