"""Tasks by the name that Inspect's command line gives them: `file.py@name`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Generator
from contextlib import chdir, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from inspect_ai import Task

from heldout.errors import InputError, Problem
from heldout.evals.inspect.registered import Registered


def load_task(place: str | Path) -> Task:
    """The task that `file.py@name` makes when it is called without arguments; of a file with one task, `file.py` will do.

    The file is run as Python, in its own folder, as Inspect does. Raises InputError where there is no such file or task,
    or where it needs arguments."""
    called = f"load_task({str(place)!r})"
    path, _, name = str(place).partition("@")
    file = Path(path).absolute()
    if not file.is_file():
        raise InputError(called, Problem(f"no file {path}", "file.py, or file.py@name", "check the path"))
    with _own_folder(file.parent):
        made = _tasks_in(_module(called, file))
        if name not in made and not (name == "" and len(made) == 1):
            listed = ", ".join(made) or "none"
            found = f"no task {name!r} in {file.name}" if name else f"{len(made)} tasks in {file.name}"
            raise InputError(called, Problem(found, f"one of its tasks: {listed}", f"write {path}@NAME"))
        return _call(called, made[name] if name else next(iter(made.values())))


def _tasks_in(module: ModuleType) -> dict[str, Any]:
    from inspect_ai._util.registry import is_registry_object

    own = {name: value for name, value in vars(module).items() if callable(value)}
    return {Registered.of(value).name: value for value in own.values() if is_registry_object(value, type="task")}


def _module(called: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"heldout_task_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise InputError(called, Problem(f"{file.name}, which is not Python", "a .py file", "name a .py file"))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        problem = Problem(f"{file.name}, which fails: {error!r}", "a file that can be run", "run it with python first")
        raise InputError(called, problem) from error
    return module


def _call(called: str, make: Any) -> Task:
    try:
        made = make()
    except Exception as error:
        problem = Problem(
            f"a task that cannot be made: {error!r}", "a task without required arguments", "give its arguments defaults"
        )
        raise InputError(called, problem) from error
    if not isinstance(made, Task):
        raise InputError(called, Problem(f"a {type(made).__name__}", "an Inspect Task", "return a Task from it"))
    return made


@contextmanager
def _own_folder(folder: Path) -> Generator[None]:
    """Relative data sets, and modules beside the file, are found."""
    sys.path.insert(0, str(folder))
    try:
        with chdir(folder):
            yield
    finally:
        sys.path.remove(str(folder))
