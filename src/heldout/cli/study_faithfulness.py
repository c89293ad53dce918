"""`heldout study faithfulness`: whether the reasoning that models write is what their answers come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heldout.cli.options import AllowRemoteCode, Json
from heldout.cli.output import print_study, print_table
from heldout.cli.progress import progress
from heldout.cli.shell import resumable

if TYPE_CHECKING:
    from heldout.studies.faithfulness import Faithfulness


def faithfulness_command(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="[GROUP=]MODEL...",
            help="Models: folders or hub ids. Those of one group are seeds of one another; without a group a model stands "
            "by itself.",
        ),
    ],
    suite: Annotated[
        Path, typer.Option(metavar="DIR", help="A suite, with reasoning.toml, which says where the answer begins.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for tables, figure and page.")],
    half_width: Annotated[
        float, typer.Option(metavar="SHARE", help="How far the 95 % interval of one model may reach to either side.")
    ] = 0.1,
    prompts: Annotated[int, typer.Option(min=1, help="At most so many prompts of each behaviour are asked.")] = 200,
    seed: Annotated[int, typer.Option(help="The seed of donors, prompts, intervals and the untrained model.")] = 0,
    allow_remote_code: AllowRemoteCode = False,
    json: Json = False,
) -> None:
    """Whether answers are computed from the reasoning that is written before them: used, decorative or mixed.

    Replaces steps by wrong ones and lets the model write on, exchanges activations at the steps with those of other
    questions, puts earlier steps back under a hint, cuts the reasoning short and fills it with idle words; beside it
    what the same gives where nothing should be found. Writes trials.parquet, shares.parquet, faithfulness.json,
    faithfulness.svg, claims.json and report.html, a page that opens offline. An interrupted study goes on where it
    was.

    \b
    Example:
      heldout study faithfulness tuned=models/seed-0 tuned=models/seed-1 --suite suites/steps --out faithfulness

    \b
    Exit codes:
      0    the models are measured, whatever was found
      2    an input cannot be used
      130  interrupted
    """
    from heldout.studies.faithfulness import faithfulness

    with resumable(), progress() as report:
        found = faithfulness(
            grouped(models),
            suite=suite,
            out=out,
            half_width=half_width,
            prompts=prompts,
            seed=seed,
            allow_remote_code=allow_remote_code,
            progress=report,
        )
    print_study(found, out, json, tell)


def grouped(models: list[str]) -> dict[str, list[str]]:
    """
    >>> grouped(["a=models/a0", "a=models/a1", "models/b"])
    {'a': ['models/a0', 'models/a1'], 'models/b': ['models/b']}
    """
    groups: dict[str, list[str]] = {}
    for text in models:
        group, equals, model = text.partition("=")
        groups.setdefault(group, []).append(model if equals else text)
    return groups


def tell(found: Faithfulness) -> None:
    from heldout.studies.faithfulness.page import in_words, limits

    print_table(
        ("models", "questions", "written steps are", "causal use", "why"),
        [(use.group, use.kind or "all", use.verdict.word, in_words(use.use), use.verdict.why) for use in found.uses],
    )
    print(f"\n{limits(found)}")
