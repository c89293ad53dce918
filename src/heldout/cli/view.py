"""`heldout view`: opens reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def view(
    runs: Annotated[Path, typer.Argument(metavar="RUNS", help="A bundle, or a folder of bundles.")],
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the path of the page, and open nothing.")
    ] = False,
) -> None:
    """Open the report of a run, or a page that lists the runs of a folder.

    The pages are files: they need no server, no network and no script. Where no browser opens, the path of
    the page is printed.

    \b
    Example:
      heldout view runs

    \b
    Exit codes:
      0  done
      2  there is no bundle
    """
    from heldout import report

    report.view(runs, open_browser=not no_browser)
