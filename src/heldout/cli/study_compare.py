"""`heldout study compare`: how alike models are inside."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heldout.cli.options import AllowRemoteCode, Json
from heldout.cli.output import print_study, print_table
from heldout.cli.progress import progress
from heldout.cli.shell import starting_over

if TYPE_CHECKING:
    from heldout.studies.compare import ModelComparison


class Position(StrEnum):
    """Where prompts are read."""

    last = "last"
    mean = "mean"


def compare_command(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="Two or more models: folders, hub ids, minilm, or a folder of checkpoints."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for tables, figure and page.")],
    suite: Annotated[Path | None, typer.Option(metavar="DIR", help="A suite, whose prompts the models read.")] = None,
    text: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A text file in place of a suite, with a prompt a line.")
    ] = None,
    sites: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SITE",
            help="A site name, such as mlp_out, or a site with its layer, such as resid_post.3; can be repeated.",
            show_default="resid_post",
        ),
    ] = None,
    position: Annotated[
        Position, typer.Option(help="The last token of a prompt, or the mean over its tokens.")
    ] = Position.last,
    seed: Annotated[int, typer.Option(help="The seed of the nulls, the splits and the untrained models.")] = 0,
    allow_remote_code: AllowRemoteCode = False,
    json: Json = False,
) -> None:
    """How alike models are inside: layer by layer, as a whole, and in the variables that people use.

    Reads every model, and an untrained model of its shape, on the same prompts. Compares them by debiased CKA and
    other measures, against permuted prompts, and says where a value stands on one dimension or a few prompts. Of a
    suite's latents it says which models hold them. Writes cells.parquet, measures.parquet, concepts.parquet,
    compare.json, compare.svg and report.html, a page that opens offline.

    \b
    Example:
      heldout study compare models/candidate models/baseline --suite suites/sums --out comparison

    \b
    Exit codes:
      0  the models are compared
      2  an input cannot be used
      130  interrupted; nothing is kept
    """
    from heldout.studies.compare import compare

    with starting_over(), progress() as report:
        found = compare(
            models,
            out=out,
            suite=suite,
            text=text,
            sites=sites or None,
            position=-1 if position is Position.last else None,
            seed=seed,
            allow_remote_code=allow_remote_code,
            progress=report,
        )
    print_study(found, out, json, tell)


def tell(found: ModelComparison) -> None:
    print_table(("", "model"), [(model.label, model.name) for model in found.models])
    print()
    print_table(
        ("models", "debiased CKA", "p", "flagged"),
        [
            (
                f"{each.model} and {each.other}",
                f"{each.value:.3f}",
                f"{each.p_value:.2g}",
                f"{each.flagged} of {each.sites}",
            )
            for each in found.likenesses
            if each.model != each.other
        ],
    )
    if found.held:
        print()
        print_table(
            ("concept", "model", "decoded", "site", ""),
            [
                (each.concept, each.model, f"{each.accuracy:.2f}", each.site, "held" if each.held else "not shown")
                for each in found.held
            ],
        )
