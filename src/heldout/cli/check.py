"""`heldout check`: is what heldout reads of a model what the model computes?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heldout.cli.options import AllowRemoteCode, Json
from heldout.cli.output import print_json

if TYPE_CHECKING:
    from heldout.models import AccessReport


def check(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model: a Hugging Face folder, or a hub id.")],
    allow_remote_code: AllowRemoteCode = False,
    json: Json = False,
) -> None:
    """Test the access to a model, with figures.

    Compares traced passes with plain forward passes of transformers, compares left-padded prompts with the
    same prompts alone, writes back what was read at every site and looks for a changed bit, and measures what
    reading the whole residual stream costs. The cost is reported and not judged.

    \b
    Example:
      heldout check models/new

    \b
    Exit codes:
      0  the access is right
      1  logits differ by more than the tolerance, or an edit that changes nothing changed a bit
      2  the model cannot be used
    """
    from heldout.models import check_access, load

    found = check_access(load(model, allow_remote_code=allow_remote_code))
    if json:
        print_json(in_json(found))
    else:
        print("\n".join(in_words(found)))
    if not found.passed:
        raise typer.Exit(1)


def in_json(found: AccessReport) -> dict[str, Any]:
    judged = {"passed": found.passed, "no_op_bit_identical": found.no_op_bit_identical}
    return {**asdict(found), **judged, "unsupported": dict(found.unsupported)}


def in_words(found: AccessReport) -> list[str]:
    changed = ", ".join(found.changed_by_no_op)
    return [
        f"{found.model}: {found.family}, {found.dtype} on {found.device}, {found.digest}",
        f"largest logit difference from plain transformers: {found.logit_difference:.2e} "
        f"(at most {found.tolerance:.0e})",
        f"largest difference between padded and single prompts, relative: {found.padding_difference:.2e} "
        f"(at most {found.tolerance:.0e})",
        f"an edit that changes nothing: {f'changes bits at {changed}' if changed else 'bit-identical at every site'}",
        f"reading the whole residual stream costs {found.trace_cost:.2f} plain passes",
        f"sites: {', '.join(found.supported)}",
        *(f"no {name}: {reason}" for name, reason in found.unsupported),
        "the access is right" if found.passed else "the access is NOT right: do not audit this model",
    ]
