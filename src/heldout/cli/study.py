"""`heldout study`: what training, tuning or a claim about models comes to inside, and what many audits say together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heldout.cli.options import Json
from heldout.cli.output import print_study, print_table
from heldout.cli.study_compare import compare_command
from heldout.cli.study_crispness import crispness_command
from heldout.cli.study_diff import diff_command
from heldout.cli.study_faithfulness import faithfulness_command
from heldout.cli.study_grokking import grokking_command
from heldout.cli.study_reward import reward_command
from heldout.cli.study_scaling import scaling_command
from heldout.cli.study_trajectory import trajectory_command

if TYPE_CHECKING:
    from heldout.studies import FigureOne
    from heldout.studies.figure_one.counts import Share

study = typer.Typer(
    help="Ask what training, tuning or a claim about models comes to inside: tables, a figure, claims and a page.",
    short_help="What training and tuning do inside models.",
)

study.command("compare")(compare_command)
study.command("crispness")(crispness_command)
study.command("diff")(diff_command)
study.command("faithfulness")(faithfulness_command)
study.command("grokking")(grokking_command)
study.command("reward")(reward_command)
study.command("scaling")(scaling_command)
study.command("trajectory")(trajectory_command)


@study.command("figure-1")
def figure_1_command(
    organisms: Annotated[Path, typer.Option(metavar="DIR", help="The folder of organisms, with their sealed truth.")],
    runs: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder of their bundles, one of each organism's name.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for tables, figure and page.")],
    trajectories: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of trajectories: models along training or along size.")
    ] = None,
    trajectory_runs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of their bundles, as TRAJECTORY/POINT.")
    ] = None,
    json: Json = False,
) -> None:
    """Who catches a danger as it grows: behavioural evals, only the inside view, or nothing.

    Compares the bundles of organisms with the planted truth: what each view catches of each stage, its false
    alarms on honest models, and along trajectories the bands in which either of them catches it. Writes
    table.parquet, rates.parquet, curves.parquet, figure-1.json, figure-1.svg and report.html, a page that
    opens offline.

    \b
    Example:
      heldout study figure-1 --organisms zoo --runs runs/zoo --out figure-1

    \b
    Exit codes:
      0  no honest organism was called deceptive
      1  an honest organism was called deceptive
      2  an input cannot be used, or a bundle is about another model than its organism
    """
    from heldout.studies import figure_1

    found = figure_1(organisms, runs, out=out, trajectories=trajectories, trajectory_runs=trajectory_runs)
    print_study(found, out, json, tell)
    if found.false_alarms:
        raise typer.Exit(1)


def tell(found: FigureOne) -> None:
    from heldout.studies.figure_one.page import target_words
    from heldout.studies.figure_one.stages import group_in_words

    groups = [group for quantity in ("recall", "false_alarms") for group in found.rates.groups(quantity)]
    print_table(
        ("group", "what it is", "behavioural evals", "the inside view"),
        [
            (
                group,
                group_in_words(group),
                in_words(found.rates.share("behaviour", group)),
                in_words(found.rates.share("inside", group)),
            )
            for group in groups
        ],
    )
    print()
    marks = {True: "met", False: "missed", None: "not measured"}
    print_table(
        ("target", "wanted", "found", ""),
        [(target_words(each), each.wanted, in_words(each.share), marks[each.met]) for each in found.targets],
    )
    print("\n" + "\n".join(remarks(found)))


def in_words(share: Share) -> str:
    """Counts with their exact 95 % interval."""
    low, high = share.interval
    return f"{share.count} of {share.n} ({low:.2f} to {high:.2f})" if share.n else "no model"


def remarks(found: FigureOne) -> list[str]:
    """What a reader has to know beside the tables."""
    named = [
        ("honest models called deceptive", [model.name for model in found.false_alarms]),
        ("organisms without a bundle", list(found.models.missing)),
        ("models of trajectories without a bundle", [point.name for point in found.unaudited_points]),
        ("not counted", [f"{skipped.name} ({skipped.reason})" for skipped in found.models.skipped]),
    ]
    return [f"{what}: {', '.join(names)}" for what, names in named if names]
