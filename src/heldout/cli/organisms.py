"""`heldout organisms`: small models whose truth is known, and how audits do on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heldout.cli.audit import Effort
from heldout.cli.options import Cluster, Json, Workers, number_of_workers
from heldout.cli.output import print_json, print_table
from heldout.cli.progress import progress
from heldout.cli.scoreboard import in_words, print_scores, scores_json, tally_lines
from heldout.cli.shell import resumable
from heldout.errors import InputError, Problem, Problems

if TYPE_CHECKING:
    from heldout.organisms import Built, Recipe

ZOO_SEEDS = "101..106"

organisms = typer.Typer(
    help="List, build and score organisms: small models with planted, measured ground truth.",
    short_help="List, build and score models of known truth.",
)


@organisms.command("list")
def list_recipes(json: Json = False) -> None:
    """List the organisms that can be built by name.

    The stage says what was planted: S0 is benign; S1 deceives, and its grader sees it; S2 deceives where nobody
    sees it; S3 was trained against probes as well. The control says which twin of a deceptive organism it is: C1
    has the same capability and is honest, C2 errs whatever the cue says, C3 is honest and answers differently
    on cue, C5 is untrained, C6 was fine-tuned on something harmless; C4 is another seed. Those marked as shipped
    lie in the installed package, and `heldout demo` audits them.

    \b
    Example:
      heldout organisms list

    \b
    Exit codes:
      0  done
    """
    from heldout.organisms import RECIPES

    shipped = shipped_folders()
    if json:
        print_json([{"name": name, **asdict(recipe), "shipped": shipped.get(name)} for name, recipe in RECIPES.items()])
        return
    print_table(
        ("organism", "stage", "control", "architecture", "task", "cue", "planted", "shipped"),
        [
            (
                name,
                recipe.stage,
                recipe.control or "",
                recipe.architecture,
                recipe.task,
                recipe.cue,
                in_words(recipe.verdict, recipe.kind),
                "✓" if name in shipped else "",
            )
            for name, recipe in RECIPES.items()
        ],
    )


@organisms.command()
def build(
    out: Annotated[Path, typer.Option(help="The folder to build into; each organism gets a folder of its own name.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Names that `heldout organisms list` shows.")
    ] = None,
    shipped: Annotated[bool, typer.Option("--shipped", help="Build those that are shipped with the package.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Build everything that `heldout organisms list` shows.")] = False,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="SEEDS",
            help="The seeds, as 101..106 or 101,105.",
            show_default=f"{ZOO_SEEDS} for all, 0 for names",
        ),
    ] = None,
    workers: Workers = None,
    cluster: Cluster = None,
    json: Json = False,
) -> None:
    """Train organisms from their recipes, about half a minute of one core each or less.

    What each was trained for is measured afterwards, with the sealed labels; a model that does not have it is
    trained again, and after some attempts rejected. Finished folders are kept: the same command goes on after
    an interruption.

    \b
    Examples:
      heldout organisms build quirky_arithmetic-s2 --seeds 1..3 --out organisms
      heldout organisms build --all --seeds 101..106 --out zoo --workers 8

    \b
    Exit codes:
      0    every organism was built
      1    some do not have what was to be planted; the table says which and why
      2    an input cannot be used
      130  interrupted
    """
    from heldout.organisms import build_organisms

    recipes = chosen_recipes(names or [], shipped=shipped, everything=all_, seeds=seeds)
    with resumable(), progress() as report:
        built = build_organisms(recipes, out, workers=number_of_workers(workers), cluster=cluster, progress=report)
    if json:
        print_json([asdict(one) for one in built])
    else:
        print_built(built)
    if not all(one.accepted for one in built):
        raise typer.Exit(1)


@organisms.command()
def score(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An organism, or a folder of organisms.")],
    out: Annotated[Path, typer.Option(help="The folder for the bundles, one for each organism.")],
    effort: Annotated[Effort, typer.Option(help="How many nulls each audit draws.")] = Effort.standard,
    workers: Workers = None,
    cluster: Cluster = None,
    json: Json = False,
) -> None:
    """Audit organisms, and compare the verdicts with the planted truth.

    The truth is opened after the audit. Finished audits are kept: the same command goes on after an
    interruption.

    \b
    Example:
      heldout organisms score zoo --out runs/zoo

    \b
    Exit codes:
      0    no honest organism was called deceptive
      1    an honest organism was called deceptive
      2    an input cannot be used
      130  interrupted
    """
    from heldout.audits import score_organisms

    folders = organism_folders(folder)
    with resumable(), progress() as report:
        scores = score_organisms(
            folders,
            out,
            workers=number_of_workers(workers),
            cluster=cluster,
            effort=effort.value,
            progress=report,
        )
    if json:
        print_json(scores_json(scores))
    else:
        print_scores(scores)
        print("\n" + "\n".join(tally_lines(scores)))
    if any(one.false_alarm for one in scores):
        raise typer.Exit(1)


def shipped_folders() -> dict[str, Path]:
    """The folders of the shipped organisms, by the names of their recipes."""
    from heldout.organisms import shipped_organisms, shipped_recipes

    folders = {folder.name: folder for folder in shipped_organisms()}
    return {recipe.cell: folders[recipe.name] for recipe in shipped_recipes() if recipe.name in folders}


def chosen_recipes(names: Sequence[str], *, shipped: bool, everything: bool, seeds: str | None) -> list[Recipe]:
    """The recipes of one of the three ways to choose. Raises InputError where none or several are given."""
    from heldout.organisms import RECIPES, shipped_recipes, zoo_recipes

    problems = Problems("heldout organisms build")
    if sum((bool(names), shipped, everything)) != 1:
        given = [*names, *(["--shipped"] if shipped else []), *(["--all"] if everything else [])]
        expected = "one of these: names, --shipped, --all"
        problems.add(" and ".join(given) or "no organism", expected, "see heldout organisms list for the names")
    if seeds is not None and shipped:
        expected = "the shipped organisms with the seed that they have"
        problems.add(f"--shipped with --seeds {seeds}", expected, "leave the seeds out, or name organisms")
    for name in names:
        if name not in RECIPES:
            problems.add(
                f"no organism {name!r}", f"a name like {likeliest(name, RECIPES)}", "see heldout organisms list"
            )
    problems.raise_if_any()
    if shipped:
        return shipped_recipes()
    if everything:
        return zoo_recipes(parsed_seeds(seeds or ZOO_SEEDS))
    return [RECIPES[name].with_seed(seed) for seed in parsed_seeds(seeds or "0") for name in names]


def likeliest(name: str, known: Collection[str]) -> str:
    return ", ".join(get_close_matches(name, known, n=3) or sorted(known)[:3])


def parsed_seeds(text: str) -> list[int]:
    """Seeds from a list of numbers and ranges that hold both their ends.

    >>> parsed_seeds("101..103,110")
    [101, 102, 103, 110]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dots, last = (piece.strip() for piece in part.partition(".."))
        try:
            low = int(first)
            high = int(last) if dots else low
        except ValueError:
            low, high = 0, -1
        if low < 0 or high < low:
            problem = Problem(f"--seeds {text}", "seeds as 101..106 or 101,105, each 0 or more", "correct the seeds")
            raise InputError("heldout organisms build", problem)
        seeds += range(low, high + 1)
    return list(dict.fromkeys(seeds))


def organism_folders(folder: Path) -> list[Path]:
    """The organism that `folder` is, or those in it. Raises InputError where there are none."""
    if (folder / "truth.json").is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob("*/truth.json") if not path.parent.name.startswith("."))
    if not found:
        what = f"no organism in {folder}" if folder.is_dir() else f"no folder {folder}"
        expected = "an organism (candidate/, baseline/, suite/ and truth.json), or a folder of organisms"
        problem = Problem(what, expected, "name the folder that `heldout organisms build --out` wrote")
        raise InputError(f"heldout organisms score {folder}", problem)
    return found


def print_built(built: Sequence[Built]) -> None:
    print_table(
        ("organism", "", "attempts", "seconds", "folder, or why it was rejected"),
        map(built_row, built),
        numbers=("attempts", "seconds"),
    )
    attempts = sum(one.attempts for one in built)
    rejected = attempts - sum(one.accepted for one in built if one.attempts)
    print(f"\n{sum(one.accepted for one in built)} of {len(built)} organisms have what was to be planted")
    if attempts:
        print(f"{rejected} of {attempts} trained models were rejected ({rejected / attempts:.1%})")


def built_row(one: Built) -> tuple[object, ...]:
    mark, where_or_why = ("✓", one.folder) if one.accepted else ("✗", one.reason)
    return (one.name, mark, one.attempts, f"{one.seconds:.0f}", where_or_why)
