"""`heldout study crispness`: are the variables that people use crisp inside a model?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heldout.cli.options import AllowRemoteCode, Json
from heldout.cli.output import print_study, print_table
from heldout.cli.progress import progress
from heldout.cli.shell import starting_over

if TYPE_CHECKING:
    from heldout.studies.crispness import CrispnessStudy, LatentFinding


def crispness_command(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A Hugging Face folder, a hub id, or minilm: the extra of that name.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for tables, figure and page.")],
    text_set: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="A JSONL file of labelled texts, or english: the seven latents that heldout brings.",
            show_default="english",
        ),
    ] = None,
    suite: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A suite in place of a text set: the latents that its samples name.")
    ] = None,
    latent: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this latent; can be repeated.", show_default="all")
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(
            help="Random moves that a causal test is held against; fewer than 20 a latent, less one, could find nothing.",
            show_default="as few as that",
        ),
    ] = None,
    pairs: Annotated[int, typer.Option(min=4, help="Pairs of each kind in the causal test.")] = 12,
    seed: Annotated[int, typer.Option(help="The seed of texts, nulls and untrained twins.")] = 0,
    allow_remote_code: AllowRemoteCode = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Are the variables that people use crisp inside a model?

    For each latent of labelled texts: is it read off on words and templates that were not fitted, beyond permuted
    labels, an untrained twin, a bag of tokens and control tasks; does flipping its direction change what the model
    says of pairs that differ in it; how many directions does it take; and do polytope boundaries lie between its
    values? Reads encoders (BERT) by the similarity of their sentence vectors and causal models by that of their
    logits. Writes latents.parquet, sites.parquet, directions.parquet, crispness.json, crispness.svg and report.html.

    \b
    Example:
      heldout study crispness models/candidate --suite suites/sums --out crispness

    \b
    Exit codes:
      0  the latents are measured, crisp or not
      2  an input cannot be used
      130  interrupted; nothing is kept
    """
    from heldout.studies.crispness import Effort, crispness

    with starting_over(), progress() as report:
        found = crispness(
            model,
            out=out,
            text_set=text_set,
            suite=suite,
            latents=latent or (),
            effort=Effort(draws=draws, pairs=pairs),
            seed=seed,
            allow_remote_code=allow_remote_code,
            progress=report,
        )
    print_study(found, out, json, tell)


def tell(found: CrispnessStudy) -> None:
    head = ("latent", "accuracy", "twins", "bag", "flip", "p, corrected", "rank", "spread", "crisp")
    print_table(head, [row_of(each) for each in found.found])
    path = found.path
    print(
        f"\npath length: {f'{path.value:.1f} sublayers' if path.value is not None else f'not measured: {path.missing}'}"
    )


def row_of(each: LatentFinding) -> tuple[str, ...]:
    nulls = {null.name: f"{null.mean:.2f}" for null in each.nulls}
    size = each.dimensions
    return (
        each.latent,
        f"{each.accuracy:.2f}",
        nulls.get("untrained twin", "–"),
        nulls.get("bag of tokens", "–"),
        f"{each.use.flip.value:+.3f}",
        f"{each.used_p_value:.3g}",
        "–" if size.rank is None else str(size.rank),
        f"> {len(size.left) * size.free}" if size.spread is None else str(size.spread),
        "yes" if each.crisp else f"not met: {', '.join(each.failed)}",
    )
