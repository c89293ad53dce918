"""How commands end: the four-part messages of mistakes in the command line, unreadable files, and interruptions."""

from __future__ import annotations

import pytest

from heldout import audits, report
from heldout.cli.output import print_table
from heldout.cli.shell import command_line
from heldout.studies import compare as comparison


def test_an_unknown_option(command) -> None:
    done = command("audit", "--sute", "x")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == "heldout audit"
    assert done.stderr.splitlines()[1].startswith("found:    No such option: --sute")
    assert done.stderr.splitlines()[2].startswith("expected: heldout audit [OPTIONS]")
    assert done.stderr.splitlines()[3] == "next:     see heldout audit --help"


def test_a_missing_option(command) -> None:
    done = command("audit", "candidate", "--suite", "suite")
    assert done.exit_code == 2
    assert "--out" in done.stderr.splitlines()[1]


@pytest.mark.parametrize("arguments", [("adit",), ("organisms",), ("organisms", "bild"), ("verify",)])
def test_commands_that_are_not_there(command, arguments: tuple[str, ...]) -> None:
    done = command(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert [line[:10] for line in done.stderr.splitlines()[1:]] == ["found:    ", "expected: ", "next:     "]


def test_a_value_that_is_not_a_choice(command) -> None:
    done = command("audit", "c", "--suite", "s", "--out", "o", "--effort", "heroic")
    assert done.exit_code == 2
    assert "heroic" in done.stderr
    assert "standard" in done.stderr


def test_an_interruption_says_how_to_go_on(command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(audits, "audit", interrupted)
    done = command("audit", "c", "--suite", "s", "--out", "o")
    assert (done.exit_code, done.stdout) == (130, "")
    lines = ["interrupted; what was finished is kept. The run can be resumed by:", command_line()]
    assert done.stderr.splitlines()[-2:] == lines


def test_a_full_disk_is_no_traceback(command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "runs/index.html")

    monkeypatch.setattr(report, "view", full)
    done = command("view", "runs")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "found:    No space left on device: runs/index.html" in done.stderr


def test_names_in_tables_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("[bold]name", "n"), [("[red]x[/red]", 1), ("[/]", 22)], numbers=("n",))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["[bold]name     n", "[red]x[/red]   1", "[/]           22"]


def test_an_interruption_says_that_nothing_was_kept(command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "compare", interrupted)
    done = command("study", "compare", "a", "b", "--text", "t", "--out", "o")
    assert (done.exit_code, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1] == "interrupted; nothing was kept, and the same command begins anew"
