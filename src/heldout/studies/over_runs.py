"""What holds in how many runs, or seeds: with the run as the unit, by an exact sign test."""

from __future__ import annotations

from heldout.evidence.claims import p_value_text
from heldout.execution.result import Json, Null, Result
from heldout.statistics import exceeds_rate_p_value, proportion_interval

LEVEL = 0.05
NEEDED = 5
"""Runs that a sign test needs for p ≤ LEVEL."""


def sign_test(quantity: str, k: int, n: int, unit: str = "runs", **settings: Json) -> Result:
    """Of n runs k: is it more than half of such runs? `unit` is what they are called."""
    return Result(
        technique="exact sign test",
        quantity=quantity,
        unit=f"fraction of {unit}",
        effect=k / n,
        n=n,
        interval=proportion_interval(k, n),
        nulls=(Null("either as likely", 0.5, 0.5, n, p_value_of(k, n)),),
        settings=settings,
    )


def p_value_of(k: int, n: int) -> float:
    return exceeds_rate_p_value(k, n, 0.5)


def in_most(k: int, n: int) -> bool:
    return p_value_of(k, n) <= LEVEL


def share_text(k: int, n: int, unit: str = "runs") -> str:
    """`in 3 of 5 runs (95 % interval of the share .15 to .95; sign test p = 0.5)`."""
    (low, high), p_value = proportion_interval(k, n), p_value_text(p_value_of(k, n))
    return f"in {k} of {n} {unit} (95 % interval of the share {low:.2f} to {high:.2f}; sign test {p_value})"


def too_few(n: int, unit: str = "runs") -> str | None:
    """Why so few runs say nothing of others; None where they are enough."""
    return None if n >= NEEDED else f"{NEEDED} {unit} are needed for p ≤ {LEVEL}; these are {n}"
