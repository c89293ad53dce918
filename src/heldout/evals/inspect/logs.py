"""Runs a task on an open model and leaves its log where `inspect view` finds it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from inspect_ai import Task
from inspect_ai import eval as run_inspect
from inspect_ai.log import EvalLog

from heldout.data import Suite
from heldout.errors import InputError, Problem
from heldout.evals.inspect.connecting import inspect_model
from heldout.evals.inspect.task_from_suite import task_of
from heldout.models import Model, Site

BATCH = 32
SIDECARS = "sidecars"


def run_task(
    task: Task | Suite,
    model: Model,
    folder: str | Path,
    *,
    capture: Iterable[Site | str] = (),
    max_tokens: int | None = None,
) -> EvalLog:
    """The log of the task (or of a suite, as a task) on `model`, also written into `folder` as an `.eval` file, its
    `location`. What `capture` records goes into `folder/sidecars`. `max_tokens` stands in for the task's own limit.

    Greedy, one epoch. Nothing is sent anywhere. Raises InputError where the run did not succeed."""
    task = task_of(task) if isinstance(task, Suite) else task
    folder, sites = Path(folder).absolute(), list(capture)
    sidecar = folder / SIDECARS if sites else None
    connected = inspect_model(model, capture=sites, sidecar=sidecar, batch_size=BATCH)
    (log,) = run_inspect(
        task,
        model=connected,
        log_dir=str(folder),
        log_format="eval",
        display="none",
        epochs=1,
        max_connections=2 * BATCH,
        max_samples=2 * BATCH,
        max_tokens=max_tokens,
    )
    if log.status != "success":
        reason = log.error.message if log.error is not None else log.status
        called = f"run_task({task.name!r}, {model.name!r})"
        next_step = f"see the log {log.location}"
        raise InputError(called, Problem(f"a run that ended in: {reason}", "a run that succeeds", next_step))
    return log
