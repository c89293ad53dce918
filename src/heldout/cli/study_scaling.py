"""`heldout study scaling`: what grows and what shrinks with the size of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heldout.cli.options import Json
from heldout.cli.output import print_study, print_table
from heldout.cli.progress import progress
from heldout.cli.shell import resumable

if TYPE_CHECKING:
    from heldout.studies.scaling import Exponent, ScalingStudy


def scaling_command(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", help="Folders of models of several sizes, one folder a seed."),
    ],
    suite: Annotated[Path, typer.Option(metavar="DIR", help="A suite, whose prompts with a target are read.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for tables, figure and page.")],
    prompts: Annotated[int, typer.Option(help="At most so many prompts.")] = 64,
    faithful: Annotated[
        float, typer.Option(help="The share of the effect of all edges that a circuit must carry.")
    ] = 0.8,
    n_beta: Annotated[
        list[float] | None,
        typer.Option(
            metavar="NUMBER",
            help="An inverse temperature of the learning coefficient; repeat it, three times or more.",
            show_default="1000, 3162, 10000",
        ),
    ] = None,
    localisation: Annotated[
        float, typer.Option(help="How strongly the learning coefficient holds weights where they are.")
    ] = 100.0,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A module or parameter whose learning coefficient is measured; can be repeated.",
            show_default="all that are no embeddings",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of prompts, chains and nulls.")] = 0,
    json: Json = False,
) -> None:
    """What grows and what shrinks with the size of a model.

    Measures loss, learning coefficient, path length and circuit size of every model, and fits exponents against the
    number of parameters that are no embeddings, with intervals over seeds. What cannot be measured is refused by name.
    Writes readings.parquet, exponents.parquet, scaling.json, scaling.svg and report.html, a page that opens offline.

    \b
    Example:
      heldout study scaling sizes/seed-1 sizes/seed-2 sizes/seed-3 --suite suites/sums --out scaling

    \b
    Exit codes:
      0    the models are measured
      2    an input cannot be used
      130  interrupted
    """
    from heldout.studies.scaling import scaling
    from heldout.studies.scaling.study import N_BETAS

    with resumable(), progress() as report:
        study = scaling(
            folders,
            suite=suite,
            out=out,
            prompts=prompts,
            faithful=faithful,
            n_betas=n_beta or N_BETAS,
            localisation=localisation,
            parameters=parameters or None,
            seed=seed,
            progress=report,
        )
    print_study(study, out, json, tell)


def tell(study: ScalingStudy) -> None:
    print_table(("quantity", "form", "exponent", "95 % interval", "p, corrected"), map(_row, study.exponents))
    for named in dict.fromkeys((each.quantity, each.left_out) for each in study.exponents if each.left_out):
        print(f"left out of {named[0].replace('_', ' ')}, as not above 0: {'; '.join(named[1])}")


def _row(exponent: Exponent) -> tuple[str, str, str, str, str]:
    from heldout.evidence.claims import p_value_text

    what, form = exponent.quantity.replace("_", " "), exponent.form.replace("_", " ")
    if exponent.law is None or exponent.interval is None:
        return what, form, "refused", exponent.refused[0], ""
    low, high = exponent.interval
    p_value = "" if exponent.p_value is None else p_value_text(exponent.p_value)
    return what, form, f"{exponent.law.exponent:.3f}", f"{low:.3f} to {high:.3f}", p_value
