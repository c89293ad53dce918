"""Statements of more than one model: what changed from one to the other, and what holds over several."""

from __future__ import annotations

from collections.abc import Iterator

from heldout.evidence import Claim
from heldout.evidence.claims import p_value_text
from heldout.execution.result import Null, Result
from heldout.studies.reward.changes import Change
from heldout.studies.reward.findings import RewardStudy
from heldout.studies.reward.over_models import OverModels
from heldout.studies.reward.pairs import QUALITY
from heldout.studies.reward.slopes import DRAWS, TURNED, UNITS, WORTH


def change_claims(study: RewardStudy) -> Iterator[Claim]:
    if study.before is None:
        return
    between = f"from {study.before.name} to {study.readings[0].name}"
    for change in study.changes:
        if isinstance(change, Change):
            yield change_claim(change, between)
        else:
            statement = (
                f"Whether the slope of {change.feature} changed {between} in units of quality is not known: a slope of quality "
                "was not found in both."
            )
            yield Claim(f"change-{change.feature}", change.feature, None, statement, False)


def change_claim(change: Change, between: str) -> Claim:
    low, high = change.interval
    unit = "units of quality before" if change.feature == QUALITY else UNITS
    figures = (
        f"{change.before:+.3f} to {change.after:+.3f} {unit}, a difference of {change.difference:+.3f} (95 % from {low:+.3f} "
        f"to {high:+.3f}, {change.groups} groups; {p_value_text(change.p_value)} over all slopes)."
    )
    statement = (
        f"The slope of {change.feature} changed {between}: {figures}"
        if change.found
        else f"A change of the slope of {change.feature} by more than {WORTH:g} was not found {between}: {figures}"
    )
    null = Null("random signs of the changes", 0.0, max(map(abs, change.null)), DRAWS, change.p_value)
    result = Result(
        "contrastive_pairs", "change of slope", unit, change.difference, change.groups, change.interval, (null,)
    )
    return Claim(f"change-{change.feature}", change.feature, None, statement, change.found, (result,))


def models_claim(found: OverModels, study: RewardStudy) -> Claim:
    name = f"models-{found.feature}"
    if found.mean is None or found.interval is None or found.null is None:
        without = [each.name for each, value in zip(study.readings, found.values, strict=True) if value is None]
        statement = (
            f"What {found.feature} is worth over {len(found.values)} models in units of quality is not known: a slope of "
            f"quality was not found in {', '.join(without)}."
        )
        return Claim(name, found.feature, None, statement, False)
    low, high = found.interval
    figures = (
        f"{found.mean:+.3f} units of quality (95 % from {low:+.3f} to {high:+.3f}; {p_value_text(found.p_value)} over all "
        "features)."
    )
    over = f"over {len(found.values)} models"
    statement = (
        f"A unit of {found.feature} is worth, {over}, {figures}"
        if found.found
        else f"A slope of {found.feature} beyond {WORTH:g} units of quality was not found {over}: {figures}"
    )
    null = Null(f"{TURNED}, and {WORTH:g} units of quality", 0.0, max(map(abs, found.null)), DRAWS, found.p_value)
    result = Result("contrastive_pairs", "slope", UNITS, found.mean, len(found.values), found.interval, (null,))
    return Claim(name, found.feature, None, statement, found.found, (result,))
