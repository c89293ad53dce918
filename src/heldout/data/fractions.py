"""The names of the four splits, and the share of the samples that each is to have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from heldout.data.samples import Role
from heldout.errors import InputError, Problem

SPLITS = ("fit", "select", "calibrate", "test")


@dataclass(frozen=True)
class Fractions:
    """The share of a role's samples that each split is to have. The four add up to 1."""

    fit: float
    select: float
    calibrate: float
    test: float

    def __post_init__(self) -> None:
        shares = self.shares()
        if min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-9:
            raise InputError(
                repr(self),
                Problem(
                    f"shares {', '.join(f'{share:g}' for share in shares.values())}, together {sum(shares.values()):g}",
                    "four shares above 0 that add up to 1",
                    "change the shares",
                ),
            )

    def shares(self) -> dict[str, float]:
        return {"fit": self.fit, "select": self.select, "calibrate": self.calibrate, "test": self.test}


DEFAULT_FRACTIONS: Mapping[Role, Fractions] = MappingProxyType(
    {"verified": Fractions(0.45, 0.15, 0.1, 0.3), "unverified": Fractions(0.3, 0.15, 0.1, 0.45)}
)
"""Readouts are fitted on verified samples, and most is asked of unverified ones in the test."""
