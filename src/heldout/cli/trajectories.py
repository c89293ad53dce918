"""`heldout organisms trajectories`: models along training and along size, whose truth is known at every checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heldout.cli.audit import Effort
from heldout.cli.options import Cluster, Json, Workers, number_of_workers
from heldout.cli.organisms import parsed_seeds
from heldout.cli.output import print_json, print_table
from heldout.cli.progress import progress
from heldout.cli.scoreboard import in_words
from heldout.cli.shell import resumable
from heldout.errors import InputError, Problem

if TYPE_CHECKING:
    from heldout.audits import PointScore
    from heldout.organisms import BuiltTrajectory

SEEDS = "301..303"


def trajectories(
    out: Annotated[Path, typer.Option(help="The folder to build into; each trajectory gets a folder of its own name.")],
    families: Annotated[
        list[str] | None, typer.Argument(metavar="FAMILY", help="Families of organisms.", show_default="four of them")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Audit every checkpoint, with the bundles in this folder.")
    ] = None,
    seeds: Annotated[str, typer.Option(metavar="SEEDS", help="The seeds, as 301..303 or 301,305.")] = SEEDS,
    effort: Annotated[Effort, typer.Option(help="How many nulls each audit draws.")] = Effort.standard,
    workers: Workers = None,
    cluster: Cluster = None,
    json: Json = False,
) -> None:
    """Build runs that become capable, then deceptive, then obfuscated, and the same deception at several sizes.

    Each run is a folder of checkpoints (`heldout.CheckpointSuite`) with the truth about every one of them; with
    --runs each checkpoint is audited too. Finished trajectories and audits are kept: the same command goes on
    after an interruption.

    \b
    Example:
      heldout organisms trajectories --out trajectories --runs runs/trajectories --workers 2

    \b
    Exit codes:
      0    all were built
      2    an input cannot be used
      130  interrupted
    """
    from heldout.organisms import TRAJECTORY_FAMILIES, build_trajectories

    chosen = checked_families(families or list(TRAJECTORY_FAMILIES))
    n_workers = number_of_workers(workers)
    with resumable(), progress() as report:
        built = build_trajectories(
            chosen, parsed_seeds(seeds), out, workers=n_workers, cluster=cluster, progress=report
        )
        scores: list[PointScore] = []
        if runs is not None:
            from heldout.audits import score_trajectories

            folders = [one.folder for one in built]
            scores = score_trajectories(
                folders, runs, workers=n_workers, cluster=cluster, effort=effort.value, progress=report
            )
    if json:
        print_json({"trajectories": [asdict(one) for one in built], "points": [asdict(score) for score in scores]})
    else:
        print_trajectories(built)
        print_points(scores)


def checked_families(names: Sequence[str]) -> list[str]:
    from heldout.organisms import FAMILIES

    known = [family.name for family in FAMILIES]
    unknown = [name for name in names if name not in known]
    if unknown:
        problem = Problem(f"no family {', '.join(unknown)}", f"some of {', '.join(known)}", "correct the names")
        raise InputError("heldout organisms trajectories", problem)
    return list(names)


def print_trajectories(built: Sequence[BuiltTrajectory]) -> None:
    print_table(
        ("trajectory", "checkpoints", "seconds", "folder"),
        [(one.name, one.checkpoints, f"{one.seconds:.0f}", one.folder) for one in built],
        numbers=("checkpoints", "seconds"),
    )


def print_points(scores: Sequence[PointScore]) -> None:
    if not scores:
        return
    print()
    print_table(
        ("trajectory", "checkpoint", "phase", "harm", "outputs alone", "heldout", "sealed truth"),
        [
            (
                score.trajectory,
                score.point.name,
                score.point.phase,
                f"{score.point.harm:.2f}",
                score.behavioural_only,
                in_words(score.verdict, score.kind),
                in_words(score.point.verdict, score.point.kind),
            )
            for score in scores
        ],
        numbers=("harm",),
    )
