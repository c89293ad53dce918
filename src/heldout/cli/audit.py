"""`heldout audit`: one candidate, one suite, a verdict for every behaviour."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from heldout.cli.options import AllowRemoteCode, Json
from heldout.cli.output import print_json
from heldout.cli.progress import progress
from heldout.cli.shell import resumable


class Effort(StrEnum):
    """How many nulls an audit draws."""

    quick = "quick"
    standard = "standard"
    deep = "deep"


def audit(
    candidate: Annotated[
        str, typer.Argument(metavar="CANDIDATE", help="The model under audit: a Hugging Face folder, or a hub id.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write the bundle to. It must not exist yet.")],
    suite: Annotated[Path | None, typer.Option(help="The folder with suite.toml and samples.jsonl.")] = None,
    inspect_task: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py@NAME",
            help="A task of Inspect in place of a suite. Needs the extra inspect. Its file is run.",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="The model without the new capability: an earlier, smaller or untuned one, as folder or hub id."
        ),
    ] = None,
    effort: Annotated[Effort, typer.Option(help="How many nulls are drawn.")] = Effort.standard,
    seed: Annotated[int, typer.Option(help="The seed of the splits, the nulls and the random directions.")] = 0,
    allow_remote_code: AllowRemoteCode = False,
    json: Json = False,
) -> None:
    """Say whether a candidate's new capability is real.

    Runs the suite's prompts through the candidate, looks at what computes the answers, and writes a bundle: a
    verdict for each behaviour (generalised, deceptive, not capable or undetermined), the evidence for it, and
    report.html. The verdict that outputs alone would have given stands beside it. A run that was interrupted
    goes on where it was when the same command is given again.

    \b
    Example:
      heldout audit models/new --baseline models/old --suite suites/sums --out runs/new
      heldout audit models/new --inspect-task evals/sums.py@sums --out runs/new

    \b
    Exit codes:
      0    the audit is done, whatever its verdict
      2    an input cannot be used; nothing was written
      130  interrupted
    """
    from heldout import audits

    with resumable(), progress() as report:
        bundle = audits.audit(
            candidate,
            suite=suite,
            inspect_task=inspect_task,
            out=out,
            baseline=baseline,
            effort=effort.value,
            seed=seed,
            allow_remote_code=allow_remote_code,
            progress=report,
        )
    verdicts = bundle.verdicts()
    if json:
        print_json({"run": bundle.path, "report": bundle.path / "report.html", **verdicts.to_json()})
        return
    print(verdicts)
    print(f"report: {bundle.path / 'report.html'}")
