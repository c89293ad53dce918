"""Progress of long work, on stderr: a bar in a terminal, now and then a line in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0

Report = Callable[[str, int, int], None]
"""Takes what is being done, how many steps are done, and how many there are."""


@contextmanager
def progress() -> Generator[Report]:
    """Shows the steps that are reported, with elapsed and remaining time."""
    if not sys.stderr.isatty():
        yield ProgressLines().report
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("remaining"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield report


class ProgressLines:
    """A line at the start, at the end, and in between no more often than every `SECONDS_BETWEEN_LINES`. Final."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._last: float | None = None

    def report(self, what: str, done: int, total: int) -> None:
        now = self._clock()
        if self._last is not None and done < total and now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        elapsed = now - self._start
        remaining = f", {duration(elapsed * (total - done) / done)} remaining" if 0 < done < total else ""
        print(f"{done}/{total} {what}, {duration(elapsed)} elapsed{remaining}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> duration(83.4)
    '0:01:23'
    """
    return str(timedelta(seconds=round(seconds)))
