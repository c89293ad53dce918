"""The command line: one file a command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

import heldout
from heldout.cli.audit import audit
from heldout.cli.check import check
from heldout.cli.demo import demo
from heldout.cli.ledger import ledger
from heldout.cli.organisms import organisms
from heldout.cli.shell import Shell
from heldout.cli.study import study
from heldout.cli.techniques import techniques
from heldout.cli.trajectories import trajectories
from heldout.cli.verify import verify
from heldout.cli.view import view

__all__ = ["app", "main"]

app = typer.Typer(
    name="heldout",
    cls=Shell,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"max_content_width": 100},
)


@app.callback()
def heldout_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Audits language models from the inside.

    Says whether a surprising capability of a candidate is real or a deception of the evaluation, and leaves
    evidence that somebody else can check.

    \b
    Start with:
      heldout demo                         audit models whose truth is known
      heldout audit MODEL --suite S --out RUN
      heldout view RUN

    \b
    Exit codes of every command:
      0    done
      1    a check failed
      2    an input cannot be used; the message says what was found, what was expected, and what to do next
      130  interrupted
    """
    if version:
        print(f"heldout {heldout.__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


app.command()(audit)
app.command()(check)
app.command()(demo)
app.command()(view)
app.command()(verify)
app.command()(techniques)
organisms.command()(trajectories)
app.add_typer(organisms, name="organisms")
app.add_typer(study, name="study")
app.add_typer(ledger, name="ledger")


def main() -> None:
    """The entry point of the command `heldout`."""
    app(prog_name="heldout")
