"""What every command has in common: how it ends. 0 done, 1 a check failed, 2 unusable input, 130 interrupted."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from heldout.errors import HeldoutError, InputError, Problem

# Some versions of typer carry a click of their own, others import click: this is the UsageError of either.
UsageError: Any = typer.BadParameter.__bases__[0]


class InterruptedRunError(HeldoutError):
    """The user stopped a command."""

    exit_code = 130


class Shell(TyperGroup):
    """Prints the errors that heldout raises on purpose as text without a traceback, and exits with their code."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        try:
            code = super().main(*args, standalone_mode=False, **extra)
        except UsageError as error:
            code = complain(usage_problem(error))
        except HeldoutError as error:
            code = complain(error)
        except OSError as error:
            code = complain(file_problem(error))
        if standalone_mode:
            sys.exit(code)
        return code


def complain(error: HeldoutError) -> int:
    print(error, file=sys.stderr)
    return error.exit_code


def usage_problem(error: Any) -> InputError:
    """A mistake in the command line itself, in the words of every other unusable input."""
    command, usage = "heldout", "heldout COMMAND [ARGS]..."
    if error.ctx is not None:
        command, usage = error.ctx.command_path, " ".join(error.ctx.get_usage().removeprefix("Usage:").split())
    return InputError(command, Problem(error.format_message(), usage, f"see {command} --help"))


def file_problem(error: OSError) -> InputError:
    where = f": {error.filename}" if error.filename else ""
    problem = Problem(
        f"{error.strerror or error}{where}",
        "files and folders that can be read and written",
        "check the path, its permissions, and the space on the disk",
    )
    return InputError(command_line(), problem)


@contextmanager
def resumable(again: str | None = None) -> Generator[None]:
    """Work that goes on where it was interrupted when the command `again` (by default the same one) is given."""
    try:
        yield
    except KeyboardInterrupt:
        again = again or command_line()
        raise InterruptedRunError(
            f"interrupted; what was finished is kept. The run can be resumed by:\n{again}"
        ) from None


@contextmanager
def starting_over() -> Generator[None]:
    """Work of which an interrupt leaves nothing."""
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedRunError("interrupted; nothing was kept, and the same command begins anew") from None


def command_line() -> str:
    return shlex.join(["heldout", *sys.argv[1:]])
