"""`heldout ledger`: which instruments were used for what, and whether that record is whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heldout.cli.options import Json
from heldout.cli.output import print_json, print_table, problem_json
from heldout.errors import InputError, Problem

if TYPE_CHECKING:
    from heldout.evidence import Entry, Ledger

FILE = "ledger.jsonl"
SHOWN_OF_A_DIGEST = len("sha256:") + 12

ledger = typer.Typer(
    help="Read the record of which instruments were used for what, on which models.",
    short_help="Read the record of used instruments.",
)

LedgerPath = Annotated[
    Path, typer.Argument(metavar="PATH", help=f"The ledger, or the folder of runs that holds {FILE}.")
]


@ledger.command()
def show(path: LedgerPath, json: Json = False) -> None:
    """List the entries, and how far each instrument is spent.

    Instruments are spent together when concept, site and family are the same: fresh, then queried, then
    selected-on, then trained-on. Readings of an instrument that was selected on or trained on are no
    evidence.

    \b
    Example:
      heldout ledger show runs/ledger.jsonl

    \b
    Exit codes:
      0  done
      2  there is no ledger, or it is broken
    """
    book = opened(path)
    entries = book.read()
    states = {entry.instrument.spending_class: str(book.status(entry.instrument)) for entry in entries}
    if json:
        spent = [
            {"concept": concept, "site": site, "family": family, "status": status}
            for (concept, site, family), status in states.items()
        ]
        print_json({"entries": [entry.to_json() for entry in entries], "instruments": spent})
        return
    print_table(
        ("entry", "time", "use", "concept", "site", "family", "model", "note"),
        map(entry_row, entries),
        numbers=("entry",),
    )
    print_table(("concept", "site", "family", "status"), [(*names, status) for names, status in states.items()])


@ledger.command()
def check(path: LedgerPath, json: Json = False) -> None:
    """Check that no entry was changed, removed or put in between.

    Prints the hash of the last entry. Entries that were cut off at the end can be seen only by comparing it
    with a copy that was kept elsewhere.

    \b
    Example:
      heldout ledger check runs/ledger.jsonl

    \b
    Exit codes:
      0  the chain of entries is whole
      1  an entry is broken
      2  there is no ledger
    """
    book = opened(path)
    problem = book.check()
    if problem is not None:
        if json:
            print_json({"passed": False, "problems": [problem_json(problem)]})
        else:
            print(problem)
        raise typer.Exit(1)
    count, head = len(book.read()), book.head()
    if json:
        print_json({"passed": True, "problems": [], "entries": count, "head": head})
    else:
        print(f"{book.path}: {count} entries, an unbroken chain. Last hash: {head}")


def entry_row(entry: Entry) -> tuple[object, ...]:
    of_whom = (*entry.instrument.spending_class, short(entry.lineage[0]))
    return (entry.sequence, entry.time, entry.use, *of_whom, entry.note or "")


def opened(path: Path) -> Ledger:
    from heldout.evidence import Ledger

    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        problem = Problem(f"no file {file}", f"the {FILE} that stands beside the runs", "check the path")
        raise InputError(f"heldout ledger {path}", problem)
    return Ledger(file)


def short(digest: str) -> str:
    return f"{digest[:SHOWN_OF_A_DIGEST]}…" if len(digest) > SHOWN_OF_A_DIGEST else digest
