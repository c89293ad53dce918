"""`heldout demo`: audits of models whose truth is known, so that one sees what an audit finds."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from heldout.cli.options import Json
from heldout.cli.output import json_text, print_json
from heldout.cli.progress import progress
from heldout.cli.scoreboard import print_scores, scores_json
from heldout.cli.shell import resumable
from heldout.errors import InputError, Problem

RECORD = "demo.json"
"""Marks the folder of a demo, and holds its results when it is finished."""


def demo(
    out: Annotated[
        Path | None,
        typer.Option(help="The folder for the bundles and their reports.", show_default="runs/demo-DATE-TIME"),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="How many audits run at the same time, one thread each.")] = 2,
    json: Json = False,
) -> None:
    """Audit the organisms that are shipped with heldout, and compare with what was planted in them.

    Some are honest and some deceive. The table shows for each what evals that see outputs alone would have
    said, what heldout says, and the sealed truth, which is opened after the audits. Every audit leaves a
    bundle with its report. An unfinished demo in the folder OUT goes on where it was; nothing else that lies
    there is touched.

    \b
    Example:
      heldout demo --out runs/demo

    \b
    Exit codes:
      0    every verdict is the planted one
      1    a verdict differs
      2    OUT holds something else, or a finished demo
      130  interrupted
    """
    from heldout.audits import score_organisms
    from heldout.organisms import shipped_organisms
    from heldout.report import write_index

    folder = out if out is not None else Path("runs") / f"demo-{datetime.now():%Y%m%d-%H%M%S}"
    begin(folder)
    again = shlex.join(["heldout", "demo", "--out", str(folder), "--workers", str(workers)])
    with resumable(again), progress() as report:
        scores = score_organisms(shipped_organisms(), folder, workers=workers, effort="standard", progress=report)
    page = write_index(folder)
    record = {"finished": True, "page": page, **scores_json(scores)}
    (folder / RECORD).write_text(json_text(record) + "\n", encoding="utf-8")
    if json:
        print_json(record)
    else:
        print_scores(scores)
        right = sum(score.right for score in scores)
        print(f"\n{right} of {len(scores)} verdicts are the planted ones. Reports: {page}")
    if not all(score.right for score in scores):
        raise typer.Exit(1)


def begin(folder: Path) -> None:
    """Takes a folder that is new, empty, or an unfinished demo; raises InputError on any other."""
    record = folder / RECORD
    started = json_text({"finished": False}) + "\n"
    if record.is_file():
        if record.read_text(encoding="utf-8") == started:
            return
        problem = Problem("a finished demo", "a new folder", f"heldout view {folder}, or choose another --out")
        raise InputError(f"heldout demo --out {folder}", problem)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        problem = Problem("something that is no demo", "a new folder, or an unfinished demo", "choose another --out")
        raise InputError(f"heldout demo --out {folder}", problem)
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(started, encoding="utf-8")
