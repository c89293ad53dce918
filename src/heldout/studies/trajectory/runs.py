"""The runs of a study: suites of checkpoints with the same steps, each under a name of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from heldout.errors import InputError, Problem, Problems
from heldout.models import CheckpointSuite

Source = CheckpointSuite | str | os.PathLike[str]
LEAST = 3
"""Checkpoints that a course needs."""
INSIDE = "checkpoints"


def opened_runs(
    called: str,
    sources: Source | Sequence[Source],
    *,
    steps: Sequence[int] | None,
    at_most: int | None,
    allow_remote_code: bool,
) -> list[CheckpointSuite]:
    """Suites as they are, folders of checkpoints (or with such a folder named `checkpoints` in them), and hub
    repositories. `steps` are those to measure at; `at_most` takes so many, log-spaced, always the first and the last.

    Raises InputError with all that is wrong with the runs together: no run, equal runs, sizes in place of steps, too few
    checkpoints, and steps that not all have."""
    listed = [sources] if isinstance(sources, CheckpointSuite | str | os.PathLike) else list(sources)
    if not listed:
        raise InputError(called, Problem("no runs", "a suite or folder of checkpoints", "name one or more"))
    suites = [_named(_opened(source, allow_remote_code), source) for source in listed]
    problems = Problems(called)
    by_size = [suite.name for suite in suites if suite.axis == "size"]
    if by_size:
        next_step = "compare models of several sizes with `heldout study compare`"
        problems.add(f"checkpoints by size in {', '.join(by_size)}", "checkpoints by training step", next_step)
    _check_names(suites, problems)
    problems.raise_if_any()
    if steps is not None:
        suites = [suite.select(list(steps)) for suite in suites]
    _check_steps(suites, problems)
    problems.raise_if_any()
    return suites if at_most is None else [suite.log_spaced(at_most) for suite in suites]


def _opened(source: Source, allow_remote_code: bool) -> CheckpointSuite:
    if isinstance(source, CheckpointSuite):
        return source
    folder = Path(source)
    if folder.exists() or not isinstance(source, str) or source.count("/") != 1:
        inside = folder / INSIDE
        chosen = inside if inside.is_dir() else folder
        return CheckpointSuite.from_folder(chosen, allow_remote_code=allow_remote_code)
    return CheckpointSuite.from_hub(source, allow_remote_code=allow_remote_code)


def _named(suite: CheckpointSuite, source: Source) -> CheckpointSuite:
    """A folder called `checkpoints` goes by the name of the folder around it."""
    if isinstance(source, CheckpointSuite) or suite.name != INSIDE:
        return suite
    folder = Path(source).resolve()
    name = folder.parent.name if folder.name == INSIDE else folder.name
    return CheckpointSuite(suite.checkpoints, axis=suite.axis, name=name)


def _check_names(suites: Sequence[CheckpointSuite], problems: Problems) -> None:
    for place, suite in enumerate(suites):
        for other in suites[:place]:
            if suite.digest == other.digest:
                found = f"the same checkpoints in {other.name} and {suite.name}"
                problems.add(found, "runs that differ: seeds are the unit", "name each run once")
            elif suite.name == other.name:
                found = f"two runs of the name {suite.name}"
                problems.add(found, "a name for each run", "rename a folder, or pass suites with names of their own")


def _check_steps(suites: Sequence[CheckpointSuite], problems: Problems) -> None:
    few = [f"{suite.name} has {len(suite)}" for suite in suites if len(suite) < LEAST]
    if few:
        expected = f"at least {LEAST} checkpoints a run"
        problems.add(f"too few checkpoints: {', '.join(few)}", expected, "save more, or name more of the steps")
    common = sorted(set.intersection(*(set(suite.steps) for suite in suites)))
    ragged = [suite for suite in suites if list(suite.steps) != sorted(set().union(*(s.steps for s in suites)))]
    if ragged:
        every = set().union(*(suite.steps for suite in suites))
        lacking = "; ".join(f"{suite.name} lacks {_listed(sorted(every - set(suite.steps)))}" for suite in ragged)
        next_step = f"measure at those that all have: --steps {_listed(common)}" if common else "measure them apart"
        problems.add(f"steps that not every run has: {lacking}", "the same steps in every run", next_step)


def _listed(steps: Sequence[int]) -> str:
    return ",".join(map(str, steps))
