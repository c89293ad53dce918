"""What no suite may be: empty, out of order, or with the same weights under several names."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.errors import Problems
from heldout.models.checkpoints.checkpoint import Axis, Checkpoint


def check_distinct_steps(named: Sequence[tuple[str, int]], axis: Axis, problems: Problems) -> None:
    """A problem for every step, or number of parameters, that several names have."""
    names: dict[int, list[str]] = {}
    for name, step in named:
        names.setdefault(step, []).append(name)
    for step, same in names.items():
        if len(same) > 1:
            what = f"step {step}" if axis == "step" else f"{step} parameters"
            problems.add(
                f"{what} more than once: {', '.join(same)}", "steps that rise from one to the next", "name one of them"
            )


def check_duplicates(called: str, checkpoints: Sequence[Checkpoint]) -> None:
    """Raises InputError with every group of checkpoints whose weights are equal, tensor by tensor.

    Published suites have served final weights as early steps; on such a suite nothing along training can be measured."""
    groups: dict[str, list[str]] = {}
    for checkpoint in checkpoints:
        groups.setdefault(checkpoint.weights, []).append(checkpoint.name)
    problems = Problems(called)
    for names in groups.values():
        if len(names) > 1:
            problems.add(
                f"the same weights in {', '.join(names)}",
                "weights that differ between checkpoints",
                "get them again from who trained the model, or name the checkpoints to use and leave out all but one",
            )
    problems.raise_if_any()
