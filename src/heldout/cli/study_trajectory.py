"""`heldout study trajectory`: what each stretch of a training run did."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heldout.cli.options import AllowRemoteCode, Json, Workers, number_of_workers
from heldout.cli.output import print_claims, print_study, print_table
from heldout.cli.progress import progress
from heldout.cli.shell import resumable
from heldout.errors import InputError, Problem

if TYPE_CHECKING:
    from heldout.studies.trajectory import TrajectoryStudy

CALLED = "heldout study trajectory"


class Optional(StrEnum):
    """What can be left out."""

    departures = "departures"
    edges = "edges"
    path_length = "path_length"


def trajectory_command(
    checkpoints: Annotated[
        list[str],
        typer.Argument(
            metavar="CHECKPOINTS...",
            help="One run or more: folders of checkpoints, or hub repositories with revisions.",
        ),
    ],
    suite: Annotated[Path, typer.Option(metavar="DIR", help="The suite, whose prompts every checkpoint answers.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for tables, figure, page and finished cells.")],
    behaviour: Annotated[
        str | None, typer.Option(help="Which behaviour of the suite.", show_default="the only one")
    ] = None,
    steps: Annotated[
        str | None, typer.Option(metavar="STEPS", help="The steps to measure at, as 0,64,512.", show_default="all")
    ] = None,
    at_most: Annotated[
        int | None, typer.Option(help="Measure at so many checkpoints, log-spaced.", show_default="all")
    ] = None,
    without: Annotated[list[Optional] | None, typer.Option(help="Leave a measurement out; can be repeated.")] = None,
    learning_coefficient: Annotated[
        bool, typer.Option("--learning-coefficient", help="Measure it as well, which takes minutes a checkpoint.")
    ] = False,
    prompts: Annotated[int, typer.Option(help="How many prompts of the suite at most.")] = 800,
    seed: Annotated[int, typer.Option(help="The seed of splits and nulls.")] = 0,
    workers: Workers = None,
    allow_remote_code: AllowRemoteCode = False,
    json: Json = False,
) -> None:
    """What each stretch of training did: what a model does, what can be read of it, and which parts carry it.

    Measures every checkpoint of a run, or of several that differ in their seed, on the same prompts: answers by role
    and cue, linear readouts against nulls, where the model says something else than what is read of it, likeness to
    the last checkpoint, circuit edges and path length. Divides training into phases, and says what came first. Writes
    measures.parquet, nulls.parquet, edges.parquet, phases.parquet, trajectory.json, trajectory.svg and report.html, a
    page that opens offline. An interrupted study goes on where it was.

    \b
    Example:
      heldout study trajectory runs/seed-1 runs/seed-2 --suite suites/sums --out trajectory

    \b
    Exit codes:
      0    every checkpoint is measured
      1    some measurements failed; the page names them
      2    an input cannot be used
      130  interrupted
    """
    from heldout.studies.trajectory import trajectory

    with resumable(), progress() as report:
        found = trajectory(
            checkpoints,
            suite=suite,
            out=out,
            behaviour=behaviour,
            steps=parsed_steps(steps),
            at_most=at_most,
            without=[each.value for each in without or []],
            learning_coefficient=learning_coefficient,
            prompts=prompts,
            seed=seed,
            workers=min(number_of_workers(workers), len(checkpoints)),
            allow_remote_code=allow_remote_code,
            progress=report,
        )
    print_study(found, out, json, tell)
    if found.failed:
        raise typer.Exit(1)


def parsed_steps(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        problem = Problem(f"--steps {text}", "whole numbers with commas, as 0,64,512", "correct the steps")
        raise InputError(CALLED, problem) from error


def tell(found: TrajectoryStudy) -> None:
    from heldout.studies.trajectory.claims import claims_of

    steps = [
        (each.run, *(_step(each.step(place)) for place in (each.readable, each.right)), each.override_in_words)
        for each in found.onsets
    ]
    print_table(("run", "right answer readable from", "right where checked from", "override from"), steps)
    print()
    print_claims(claims_of(found))
    for course, each in found.failed:
        print(f"not measured: {course.name}, {each.checkpoint}, {each.gauge}: {' '.join(each.reason.split())}")


def _step(step: int | None) -> str:
    return "not found" if step is None else f"step {step}"
