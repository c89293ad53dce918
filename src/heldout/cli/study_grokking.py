"""`heldout study grokking`: how a model that learns to add comes to generalise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heldout.cli.options import Json, Workers, number_of_workers
from heldout.cli.organisms import parsed_seeds
from heldout.cli.output import print_claims, print_study, print_table
from heldout.cli.progress import progress
from heldout.cli.shell import resumable
from heldout.errors import InputError, Problem, Problems

if TYPE_CHECKING:
    from heldout.studies.grokking import GrokkingStudy

CALLED = "heldout study grokking"
SEEDS = "0..4"
PUBLISHED_SPLIT = 1


def grokking_command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for tables, figure, page and trained models.")],
    train: Annotated[bool, typer.Option("--train", help="Train models, one a seed.")] = False,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Measure published research weights in place of training.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="SEEDS", help="The seeds to train, as 0..4 or 0,3.", show_default=SEEDS)
    ] = None,
    split_seed: Annotated[
        int | None,
        typer.Option(help="The seed that divided the pairs of the weights.", show_default=str(PUBLISHED_SPLIT)),
    ] = None,
    fraction: Annotated[float, typer.Option(help="The share of all pairs that is trained on.")] = 0.3,
    modulus: Annotated[int | None, typer.Option(help="The numbers are added modulo this.", show_default="53")] = None,
    width: Annotated[int | None, typer.Option(help="Of the residual stream.", show_default="64")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads.", show_default="4")] = None,
    mlp_width: Annotated[int | None, typer.Option(help="Neurons of the MLP.", show_default="512")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of AdamW.", show_default="0.015")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of AdamW.", show_default="1.5")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Of AdamW.", show_default="1e-5")] = None,
    cool_down: Annotated[
        float | None,
        typer.Option(
            help="The share of steps, at the end, in which the learning rate falls to 0.", show_default="0.35"
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of training, all pairs at once.", show_default="2500")
    ] = None,
    checkpoints: Annotated[int | None, typer.Option(help="Checkpoints to measure at.", show_default="40")] = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """How a model that learns to add modulo p comes to generalise, by progress measures along its training.

    Trains one-layer transformers, or reads published weights, and finds the frequencies that a model adds with.
    Measures the loss with nothing but these and without them, how sparse embedding and unembedding are in them, and
    how many sublayers the answer needs; divides training into phases. Writes measures.parquet, frequencies.parquet,
    phases.parquet, grokking.json, grokking.svg and report.html, a page that opens offline. An interrupted run goes
    on where it was.

    \b
    Examples:
      heldout study grokking --train --seeds 0..4 --out grokking
      heldout study grokking --weights grokking.pth --out published

    \b
    Exit codes:
      0    every model generalises by a few frequencies
      1    some do not; the table says in what
      2    an input cannot be used
      130  interrupted
    """
    from heldout.studies.grokking import Recipe, grokking_of_training, grokking_of_weights

    training: dict[str, Any] = {
        "modulus": modulus,
        "width": width,
        "heads": heads,
        "mlp_width": mlp_width,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "epsilon": epsilon,
        "cool_down": cool_down,
        "steps": steps,
        "checkpoints": checkpoints,
    }
    given = {name: value for name, value in training.items() if value is not None}
    check_options(train, weights, {**given, "seeds": seeds}, split_seed)
    with resumable(), progress() as report:
        if weights is not None:
            seed = PUBLISHED_SPLIT if split_seed is None else split_seed
            found = grokking_of_weights(weights, out, fraction=fraction, seed=seed, progress=report)
        else:
            recipe, n = Recipe(fraction=fraction, **given), number_of_workers(workers)
            found = grokking_of_training(recipe, chosen_seeds(seeds), out, workers=n, progress=report)
    print_study(found, out, json, tell)
    if found.failed:
        raise typer.Exit(1)


def check_options(train: bool, weights: Path | None, training: dict[str, Any], split_seed: int | None) -> None:
    """Raises InputError where both or neither is asked for, and for options of the other one."""
    problems = Problems(CALLED)
    if train == (weights is not None):
        found = "--train and --weights" if train else "neither --train nor --weights"
        problems.add(found, "one of them", "train models, or name the file of published weights")
    elif weights is not None:
        names = [f"--{name.replace('_', '-')}" for name, value in training.items() if value is not None]
        if names:
            expected = "weights, which say by themselves what they are"
            problems.add(f"--weights with {', '.join(names)}", expected, "leave these out, or train")
    elif split_seed is not None:
        problems.add("--split-seed with --train", "pairs divided by the seed of each run", "leave it out")
    problems.raise_if_any()


def chosen_seeds(text: str | None) -> list[int]:
    try:
        return parsed_seeds(text or SEEDS)
    except InputError as error:
        raise InputError(CALLED, Problem(f"--seeds {text}", "seeds as 0..4 or 0,3", "correct the seeds")) from error


def tell(found: GrokkingStudy) -> None:
    from heldout.studies.grokking.claims import over_seeds
    from heldout.studies.grokking.page import answer

    rows = [
        (run.name, check.name, check.found, "✓" if check.holds else "✗") for run in found.runs for check in run.checks
    ]
    print_table(("model", "the last checkpoint", "found", ""), rows)
    print()
    for run in found.runs:
        print(f"{run.name}: key frequencies {', '.join(map(str, run.keys)) or 'none'}")
    if found.along_training:
        print()
        print_phases(found)
    print()
    print_claims(over_seeds(found))
    print(f"\n{answer(found)}")


def print_phases(found: GrokkingStudy) -> None:
    rows = [
        (
            row["phase"],
            f"{row['runs']} of {len(found.runs)}",
            "" if row["start"] is None else f"{row['start']:.0f}",
            "" if row["low"] is None else f"{max(0.0, row['low']):.0f} to {row['high']:.0f}",
        )
        for row in found.phase_starts
    ]
    print_table(("phase", "seeds", "first begins at step", "95 % interval"), rows, numbers=("first begins at step",))
