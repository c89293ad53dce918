"""`heldout techniques`: what can be measured, and what is known to go wrong with it."""

from __future__ import annotations

import sys
from dataclasses import asdict

from heldout.catalogue import Entry
from heldout.catalogue import techniques as entries
from heldout.cli.options import Json
from heldout.cli.output import print_json


def techniques(json: Json = False) -> None:
    """List the techniques, heldout's own and those of installed packages.

    For each: what it does, its paper, what it needs, what it assumes, and how it is known to fail. A
    technique of another package that cannot be used is named on stderr with the reason, and the others are
    listed.

    \b
    Example:
      heldout techniques

    \b
    Exit codes:
      0  done
    """
    found = entries()
    if json:
        print_json([asdict(entry) for entry in found])
    else:
        print("\n\n".join(in_words(entry) for entry in found if entry.problem is None))
    for entry in found:
        if entry.problem is not None:
            print(f"{entry.name} of {entry.origin} cannot be used: {entry.problem}", file=sys.stderr)


def in_words(entry: Entry) -> str:
    parts = ("method", "source", "needs", "assumes", "fails", "factory", "origin")
    return "\n".join([entry.name, *(f"  {part + ':':<9}{getattr(entry, part)}" for part in parts)])
