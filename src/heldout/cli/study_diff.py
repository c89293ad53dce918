"""`heldout study diff`: what a fine-tune changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heldout.cli.options import AllowRemoteCode, Json
from heldout.cli.output import print_claims, print_study, print_table
from heldout.cli.progress import progress
from heldout.cli.shell import starting_over

if TYPE_CHECKING:
    from heldout.studies.diff import ModelDiff


def diff_command(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The model before: a folder or a hub id.")],
    tuned: Annotated[str, typer.Argument(metavar="TUNED", help="The fine-tune of it.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for tables, claims, figure and page.")],
    suite: Annotated[
        Path | None,
        typer.Option(metavar="SUITE", help="A suite: behaviour is how likely its accepted answers are."),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A text that has nothing to do with the fine-tune, with a prompt a line."),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Another fine-tune of the base, to be different from; at least two are needed to find anything, and "
            "four are better. Can be repeated.",
            show_default="none",
        ),
    ] = None,
    prompts: Annotated[int, typer.Option(min=8, help="At most so many prompts of each source are read.")] = 200,
    draws: Annotated[int, typer.Option(min=39, help="Random changes that each component is tried with.")] = 49,
    crosscoder: Annotated[
        bool,
        typer.Option(
            "--crosscoder", help="Also train crosscoders, for latents that the fine-tune alone has; takes minutes."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="The seed of everything that is drawn.")] = 0,
    allow_remote_code: AllowRemoteCode = False,
    json: Json = False,
) -> None:
    """What a fine-tune changed: in weights, activations, predictions and behaviour, beside other fine-tunes.

    Measures how far each component's weights moved and in how many directions; to which tokens activations on
    unrelated text moved; where on the text predictions diverge; and which components, exchanged between the models,
    carry the change of behaviour. A difference is found only where it is beyond the references'. Writes diff.json,
    claims.json, diff.svg, tables and report.html, a page that opens offline.

    \b
    Example:
      heldout study diff base tuned --suite suites/colours --text everyday.txt \\
          --reference other-1 --reference other-2 --out diff

    \b
    Exit codes:
      0  the models are compared, whatever was found
      2  an input cannot be used
      130  interrupted; nothing is kept
    """
    from heldout.studies.diff import diff

    with starting_over(), progress() as report:
        found = diff(
            base,
            tuned,
            out=out,
            suite=suite,
            text=text,
            references=reference or (),
            prompts=prompts,
            draws=draws,
            crosscoder=crosscoder,
            seed=seed,
            allow_remote_code=allow_remote_code,
            progress=report,
        )
    print_study(found, out, json, tell)


def tell(found: ModelDiff) -> None:
    print_claims(claim for claim in found.claims if claim.found or not claim.id.startswith("component"))
    parts = [claim for claim in found.claims if claim.id.startswith("component")]
    if found.shares:
        print()
        print_table(
            ("weights of", "put into the base", "taken out of the tuned model", "all up to here"),
            [
                (each.component, f"{each.inserted:.0%}", f"{each.removed:.0%}", f"{each.up_to:.0%}")
                for each in found.shares_of("weights")
            ],
        )
        beyond = sum(claim.found for claim in parts)
        print(f"{beyond} of {len(parts)} components carry a part of the change, beyond random changes of their size.")
    for left_out in found.left_out:
        print(f"not compared: {left_out}")
