"""The few dials of an audit. Thresholds are principles, not fits: see `docs/judging.md`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Effort = Literal["quick", "standard", "deep"]


@dataclass(frozen=True)
class Thresholds:
    """`alpha`: the level of every test. `majority`: what is to be shown must hold for more than this share of what is
    possible, once chance is 0 and perfection is 1. `tolerance`: a shared mechanism may leave this share unexplained."""

    alpha: float = 0.01
    majority: float = 0.5
    tolerance: float = 0.25


@dataclass(frozen=True)
class AuditSettings:
    """`effort` sets how many nulls are drawn; `memory_bytes` bounds activations and logits beside the weights."""

    effort: Effort = "standard"
    seed: int = 0
    memory_bytes: int = 1 << 30
    minimum_samples: int = 60
    behaviours: int = 1
    thresholds: Thresholds = Thresholds()

    @property
    def permutations(self) -> int:
        return {"quick": 999, "standard": 1999, "deep": 9999}[self.effort]

    @property
    def random_directions(self) -> int:
        """Random directions for the intervention that is tested: as many as the level needs, whatever the effort, since an
        effect can be no more certain than its rank among them. Corrected for the number of behaviours."""
        least = round(self.behaviours / self.thresholds.alpha) - 1
        return {"quick": least, "standard": least, "deep": 4 * least}[self.effort]

    @property
    def screening_directions(self) -> int:
        """Random directions for each intervention that is screened on the select split."""
        return {"quick": 1, "standard": 2, "deep": 5}[self.effort]

    def to_json(self) -> dict[str, object]:
        return asdict(self)
