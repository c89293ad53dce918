"""`heldout study reward`: what a reward model rewards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heldout.cli.options import AllowRemoteCode, Json
from heldout.cli.output import print_study, print_table
from heldout.cli.progress import progress
from heldout.cli.shell import starting_over

if TYPE_CHECKING:
    from heldout.studies.reward import Reading, RewardStudy
    from heldout.studies.reward.slopes import Slope


def reward_command(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="A reward model, or several of one recipe: folders or hub ids."),
    ],
    pairs: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder of pairs.jsonl and, for best-of-n, candidates.jsonl.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for tables, figure and page.")],
    before: Annotated[
        str | None, typer.Option(metavar="MODEL", help="An earlier reward model, to compare the one model with.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of the nulls, and of splits that the pairs do not say.")] = 0,
    allow_remote_code: AllowRemoteCode = False,
    json: Json = False,
) -> None:
    """What a reward model rewards beside quality, what carries it inside, and what best-of-n makes of it.

    Reads sequence classifiers with one output on pairs of texts that differ in one feature. Measures what a unit of
    each feature is worth, attributes differences to components, words and named features, takes the direction of a
    feature out of the model, and follows the best of n candidates. Writes slopes.parquet, attributions.parquet,
    ablations.parquet, best_of_n.parquet, reward.json, reward.svg and report.html, a page that opens offline.

    \b
    Examples:
      heldout study reward models/reward --pairs pairs --out reward
      heldout study reward models/after --before models/before --pairs pairs --out changed

    \b
    Exit codes:
      0  the models are read
      2  an input cannot be used
      130  interrupted; nothing is kept
    """
    from heldout.studies.reward import reward

    with starting_over(), progress() as report:
        found = reward(
            models, pairs, out=out, before=before, seed=seed, allow_remote_code=allow_remote_code, progress=report
        )
    print_study(found, out, json, tell)


def tell(found: RewardStudy) -> None:
    from heldout.studies.reward.page import answers

    for reading in found.readings:
        print_reading(reading)
        print()
    print("\n".join(answers(found)))


def print_reading(reading: Reading) -> None:
    taken = {each.feature: each for each in reading.ablations}
    rows: list[tuple[str, ...]] = []
    for slope in reading.slopes:
        low, high = slope.interval
        own = taken.get(slope.feature)
        without = "" if own is None else f"{own.slope_after:+.3f}"
        kept = "" if own is None else f"{own.quality_before:.1%} → {own.quality_after:.1%}"
        interval = f"{low:+.3f} to {high:+.3f}"
        rows.append((slope.feature, f"{slope.value:+.3f}", interval, in_quality(slope), slope.reading, without, kept))
    print(reading.name)
    heads = (
        "feature",
        "slope",
        "95 % interval",
        "in units of quality",
        "",
        "without its direction",
        "accuracy on quality",
    )
    print_table(heads, rows)
    errors = ", ".join(f"{kind}s {reading.completeness_error(kind):.2g}" for kind in ("component", "token", "feature"))
    print(f"completeness error: {errors}")


def in_quality(slope: Slope) -> str:
    from heldout.studies.reward.pairs import QUALITY

    if slope.in_quality is None:
        return "" if slope.feature == QUALITY else "not known"
    low, high = slope.in_quality.interval
    return f"{slope.in_quality.value:+.3f} ({low:+.3f} to {high:+.3f})"
