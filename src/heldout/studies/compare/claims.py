"""What the study claims: which models are alike inside beyond chance, and which concepts each of them holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from heldout.evidence import Claim, not_found, p_value_text
from heldout.execution.result import Null, Result
from heldout.studies.compare.alignment import Likeness
from heldout.studies.compare.decoding import LEVEL, Held
from heldout.studies.compare.findings import ModelComparison

LIKENESS = "likeness"


def claims_of(study: ModelComparison) -> Iterator[Claim]:
    for pair in study.neighbours_first:
        found = study.likeness(*pair)
        if found is not None:
            yield _alike(study, found)
    yield from map(_held, study.held)


def _alike(study: ModelComparison, found: Likeness) -> Claim:
    alike = found.p_value <= LEVEL
    flagged = f"; {found.flagged} of {found.sites} values do not stand on the whole representation"
    statement = (
        f"{found.model} and {found.other} are alike at equal depth beyond permuted prompts: debiased CKA {found.value:.3f} "
        f"({p_value_text(found.p_value)}{flagged if found.flagged else ''})."
        if alike
        else not_found(f"A likeness of {found.model} and {found.other}", "debiased CKA at equal depth", None)
    )
    return Claim(f"{LIKENESS}-{found.model}-{found.other}", LIKENESS, None, statement, alike, (_result(study, found),))


def _result(study: ModelComparison, found: Likeness) -> Result:
    settings: dict[str, Any] = {
        "model": found.model,
        "other": found.other,
        "sites": found.sites,
        "flagged": found.flagged,
    }
    untrained = study.likeness(found.model, str(study.model(found.other).twin))
    nulls = () if untrained is None else (Null("untrained model", untrained.value, untrained.value, 1),)
    return Result(
        technique="representation comparison",
        quantity="debiased_cka",
        unit="alignment (1: equal up to rotation and scale)",
        effect=found.value,
        n=len(study.items),
        nulls=nulls,
        settings={**settings, "p_value": found.p_value},
    )


def _held(held: Held) -> Claim:
    said = f"{held.concept} is read from {held.model} at {held.site} with an accuracy of {held.accuracy:.2f}"
    beyond = f"{said}, beyond permuted labels, an untrained model and the bare words ({p_value_text(held.p_value)})."
    missed = not_found(f"{held.concept} in {held.model}", "a linear readout, beyond all three nulls", None)
    statement = beyond if held.held else missed
    return Claim(f"concept-{held.concept}-{held.model}", held.concept, None, statement, held.held, (held.result(),))
