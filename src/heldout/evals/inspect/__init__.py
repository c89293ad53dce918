"""heldout inside Inspect: suites as tasks and back, a model provider that records activations, readings of old logs.

Needs the extra `inspect`. The names are loaded when they are first used, because Inspect loads this package wherever
heldout is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heldout.evals.inspect.capture import Capture
    from heldout.evals.inspect.connecting import inspect_model
    from heldout.evals.inspect.grading import accepts
    from heldout.evals.inspect.logs import run_task
    from heldout.evals.inspect.readings import reading
    from heldout.evals.inspect.saved_readouts import load_readout, save_readout
    from heldout.evals.inspect.sidecar import Reference, Sidecars
    from heldout.evals.inspect.suite_from_task import suite_of
    from heldout.evals.inspect.task_files import load_task
    from heldout.evals.inspect.task_from_suite import task_of

__all__ = [
    "Capture",
    "Reference",
    "Sidecars",
    "accepts",
    "inspect_model",
    "load_readout",
    "load_task",
    "reading",
    "run_task",
    "save_readout",
    "suite_of",
    "task_of",
]

_FILE_OF = {
    "Capture": "capture",
    "Reference": "sidecar",
    "Sidecars": "sidecar",
    "accepts": "grading",
    "inspect_model": "connecting",
    "load_readout": "saved_readouts",
    "load_task": "task_files",
    "reading": "readings",
    "run_task": "logs",
    "save_readout": "saved_readouts",
    "suite_of": "suite_from_task",
    "task_of": "task_from_suite",
}


def __getattr__(name: str) -> Any:
    if name in _FILE_OF:
        return getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
