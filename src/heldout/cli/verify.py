"""`heldout verify`: is a bundle the one that was written?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heldout.cli.options import Json
from heldout.cli.output import print_json, problem_json
from heldout.errors import InputError, Problem

LEVELS = ("hashes",)


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder that an audit or a study wrote.")],
    level: Annotated[str, typer.Option(help="What is checked. There is one level: hashes.")] = "hashes",
    json: Json = False,
) -> None:
    """Check a bundle that somebody hands you.

    Level hashes: every file has the digest that the manifest states, no file is missing or was added, the
    plan is the one that was digested before the candidate ran, and the verdict is about the weights that the
    provenance names. Of a study: every file has its digest, and claims and provenance can be read. It does not
    show that the numbers are right: for that, run the audit or the study again and compare.

    \b
    Example:
      heldout verify runs/new --level hashes

    \b
    Exit codes:
      0  nothing differs
      1  something differs
      2  this is no bundle, or there is no such level
    """
    if level not in LEVELS:
        known = ", ".join(LEVELS)
        problem = Problem(
            f"level {level!r}", f"a level that exists: {known}", f"heldout verify {run} --level {LEVELS[-1]}"
        )
        raise InputError(f"heldout verify {run} --level {level}", problem)
    problems = check_hashes(run)
    if json:
        listed = [problem_json(problem) for problem in problems]
        print_json({"run": run, "level": level, "passed": not problems, "problems": listed})
    elif problems:
        print("\n".join(map(str, problems)))
        print(f"{run}: {len(problems)} problem{'s' if len(problems) > 1 else ''} at level {level}")
    else:
        print(f"{run}: nothing differs at level {level}")
    if problems:
        raise typer.Exit(1)


def check_hashes(run: Path) -> list[Problem]:
    """A folder without a manifest is neither a bundle nor a study (InputError); one that lacks other files is damaged."""
    from heldout.evidence import Bundle
    from heldout.evidence.manifest import MANIFEST
    from heldout.evidence.study_record import StudyRecord, is_study

    if not (run / MANIFEST).is_file():
        found = f"no {MANIFEST} in {run}" if run.is_dir() else f"no folder {run}"
        next_step = "name a finished run: an audit under way has a hidden .NAME.partial folder, a study no manifest"
        expected = "the folder that an audit or a study wrote"
        raise InputError(f"heldout verify {run}", Problem(found, expected, next_step))
    try:
        return StudyRecord(run).check_hashes() if is_study(run) else Bundle(run).check_hashes()
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        found = f"a file of the folder cannot be read: {type(error).__name__}: {error}"
        return [Problem(found, "the files that were written", "ask for the folder again; do not rely on this copy")]
