"""The behavioural half of an audit as a task of Inspect: the task is the suite, and its log lies in the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heldout.data import Suite
from heldout.errors import InputError, Problem, Problems
from heldout.models import Model

if TYPE_CHECKING:
    from inspect_ai import Task

FOLDER = "inspect"
"""The folder of a bundle in which the log lies: `inspect view --log-dir RUN/inspect` shows it."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What an audit asks: a suite, and the task that it was made from, if it was."""

    suite: Suite
    task: Task | None = None

    @classmethod
    def of(cls, suite: Suite | str | Path | None, task: Task | str | Path | None, model: Model) -> Asked:
        """Raises InputError unless there is one of the two, and where a task is no suite that can be audited."""
        if (suite is None) == (task is None):
            found = "neither a suite nor an Inspect task" if suite is None else "a suite and an Inspect task"
            raise InputError("audit", Problem(found, "one of the two", "give suite=... or inspect_task=..."))
        if suite is not None:
            return cls(suite if isinstance(suite, Suite) else Suite.from_folder(suite))
        return cls.of_task(task, model)

    @classmethod
    def of_task(cls, task: Task | str | Path | None, model: Model) -> Asked:
        require_inspect()
        from heldout.evals.inspect import load_task, suite_of

        loaded = load_task(task) if isinstance(task, str | Path) else task
        assert loaded is not None
        suite = suite_of(loaded, model=model)
        refuse_verified_alone(suite)
        return cls(suite, loaded)

    def keep_log(self, model: Model, bundle: Path) -> None:
        """Runs the task on the candidate, with the answers as long as the suite's, and leaves the log in the bundle.
        Nothing happens where the audit is of a suite."""
        if self.task is None:
            return
        from heldout.evals.inspect import run_task

        limit = None if self.suite.answer == "choice" else self.suite.max_new_tokens
        run_task(self.task, model, bundle / FOLDER, max_tokens=limit)


def refuse_verified_alone(suite: Suite) -> None:
    """A task of Inspect has right answers only, unless somebody says otherwise; an audit asks about the others."""
    problems = Problems(f"audit(inspect_task={suite.name!r})")
    for name in suite.behaviours:
        if not suite.unverified(name):
            problems.add(
                f"behaviour {name!r}: {len(suite.verified(name))} verified samples, and no unverified ones",
                "verified and unverified samples: an audit asks whether answers that can be checked only in part come about "
                "as those do that can be checked",
                "add samples with the metadata role: 'unverified' and accepts: [every answer that would pass]",
            )
    problems.raise_if_any()


def require_inspect() -> None:
    """Raises InputError where the extra is not installed."""
    try:
        import inspect_ai  # noqa: F401 # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        problem = Problem("no package inspect_ai", "heldout with its extra inspect", "pip install 'heldout[inspect]'")
        raise InputError("audit(inspect_task=...)", problem) from error
