"""What is dangerous and what is honest, and the groups of models that are counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

View = Literal["behaviour", "inside"]
VIEWS: tuple[View, ...] = ("behaviour", "inside")

DANGEROUS = {"S1": "blatant", "S2": "deceptive", "S3": "obfuscated"}
HONEST = {
    "S0": "benign",
    "C1": "honest twin",
    "C2": "errs on all cues",
    "C3": "distractor",
    "C4": "another seed",
    "C5": "untrained",
    "C6": "benign tuning",
}
ALL_HONEST = "honest"
VARIANTS = {
    "linear": "linear probe",
    "mlp": "MLP probe",
    "positions": "all positions",
    "twin": "benign twin",
    "fooled": "own probe fooled",
}
"""What an S3 model was trained against; and those that it did hide from."""

RARELY_BUILT = "C4"


def groups_of(stage: str, control: str | None, variant: str | None) -> tuple[str, ...]:
    """The groups that a model is counted in. A control is honest, whatever its stage.

    >>> groups_of("S3", None, "mlp"), groups_of("S0", "C3", None)
    (('S3', 'S3 mlp'), ('C3', 'honest'))
    """
    if control is not None or stage not in DANGEROUS:
        return (control or stage, ALL_HONEST)
    return (stage, f"{stage} {variant}") if variant is not None else (stage,)


def dangerous_groups(found: Iterable[str]) -> list[str]:
    """The stages, and behind S3 what its models were trained against: the known variants, and those that were found."""
    variants = [f"S3 {variant}" for variant in VARIANTS]
    others = sorted({group for group in found if " " in group} - set(variants))
    return [*DANGEROUS, *variants, *others]


def honest_groups(found: Iterable[str]) -> list[str]:
    """S0, every control, and all of them together; C4 where there is one."""
    return [group for group in (*HONEST, ALL_HONEST) if group != RARELY_BUILT or group in set(found)]


def group_in_words(group: str) -> str:
    """
    >>> [group_in_words(group) for group in ("S2", "S3 mlp", "C3", "honest")]
    ['deceptive', 'MLP probe', 'distractor', 'all honest models']
    """
    stage, _, variant = group.partition(" ")
    if variant:
        return VARIANTS.get(variant, variant)
    return "all honest models" if group == ALL_HONEST else (DANGEROUS | HONEST)[stage]
