"""Progress: a bar in a terminal, a few lines in a file, nothing on stdout."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from heldout.cli.progress import ProgressLines, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> tuple[Callable[[], float], Callable[[float], None]]:
    now = [0.0]

    def wait(seconds: float) -> None:
        now[0] += seconds

    return (lambda: now[0]), wait


def test_lines_come_first_last_and_now_and_then(clock, capsys: pytest.CaptureFixture[str]) -> None:
    time, wait = clock
    lines = ProgressLines(time)
    for done in range(7):
        lines.report(f"step {done}", done, 6)
        wait(4)
    assert capsys.readouterr().err.splitlines() == [
        "0/6 step 0, 0:00:00 elapsed",
        "3/6 step 3, 0:00:12 elapsed, 0:00:12 remaining",
        "6/6 step 6, 0:00:24 elapsed",
    ]


def test_a_file_gets_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as report:
        report("reading", 0, 2)
    captured = capsys.readouterr()
    assert captured.err == "0/2 reading, 0:00:00 elapsed\n"
    assert captured.out == ""


def test_a_terminal_gets_a_bar_with_times(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress() as report:
        report("sums [0]: reading", 1, 4)
    shown = terminal.getvalue()
    for part in ("sums [0]: reading", "1/4", "0:00:00", "elapsed", "remaining"):
        assert part in shown
    assert capsys.readouterr().out == ""
