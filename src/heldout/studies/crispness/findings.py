"""What was measured of one latent in one model, and whether that is crisp."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, final

from heldout.execution.result import Null
from heldout.studies.crispness.borders import Borders
from heldout.studies.crispness.decoding import Selectivity
from heldout.studies.crispness.dimensions import Dimensions
from heldout.studies.crispness.exchange import LEVEL
from heldout.studies.crispness.using import CausalUse

ACCURACY = 0.9
SELECTIVITY = 0.2
SPREAD = 4
"""Batches of directions after which nothing of a crisp latent is left."""
CRITERIA = {
    "decoded": f"read off at {100 * ACCURACY:.0f} % or more of held-out texts, and above every null at {LEVEL:.0%}, corrected",
    "selective": f"at least {SELECTIVITY} more accurate than control tasks of the same words",
    "few directions": "95 % of that from one direction for each free value",
    "contained": f"not shown to be read off once {SPREAD} directions for each free value are removed",
    "used": "flipping its direction brings differing pairs together, more than random directions do and in group after group",
}
"""What crisp means here, fixed before anything was measured."""


@final
@dataclass(frozen=True)
class PathReading:
    """The effective path length in sublayers with its interval and that of the twin; or why there is none."""

    value: float | None = None
    interval: tuple[float, float] | None = None
    untrained: float | None = None
    missing: str | None = None


@final
@dataclass(frozen=True)
class LatentFinding:
    """One latent in one model. Nulls of the accuracy: see `decoding`; `p_value` is the largest of their p-values,
    `used_p_value` that of the flip, then of the removal and of the boundaries: each corrected over latents (Holm 1979).
    `least_p_value` is the least, before correction, that so many groups of test texts allow the nulls of the accuracy."""

    latent: str
    values: tuple[str, ...]
    model: str
    trained: bool
    site: str
    first_site: str
    n: int
    groups: int
    least_p_value: float
    accuracy: float
    interval: tuple[float, float]
    chance: float
    nulls: tuple[Null, ...]
    selectivity: Selectivity
    dimensions: Dimensions
    use: CausalUse
    borders: Borders | None
    p_value: float = 1.0
    used_p_value: float = 1.0
    removal_p_value: float = 1.0
    border_p_value: float = 1.0
    by_site: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def met(self) -> dict[str, bool]:
        """Each criterion, met or not."""
        free = self.dimensions.free
        chosen = self.selectivity.value
        spread, rank = self.dimensions.spread, self.dimensions.rank
        return {
            "decoded": self.accuracy >= ACCURACY and self.p_value <= LEVEL,
            "selective": chosen is not None and chosen >= SELECTIVITY,
            "few directions": rank is not None and rank <= free,
            "contained": spread is not None and 0 < spread <= SPREAD * free,
            "used": self.used_p_value <= LEVEL and self.use.flip.value > 0,
        }

    @property
    def crisp(self) -> bool:
        return all(self.met.values())

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(name for name, met in self.met.items() if not met)

    @property
    def not_beaten(self) -> tuple[Null, ...]:
        """The nulls that the accuracy was not shown to be above."""
        return unbeaten(self.nulls, self.p_value)

    def null(self, name: str) -> Null | None:
        return next((null for null in self.nulls if null.name == name), None)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met, "crisp": self.crisp}


def unbeaten(nulls: tuple[Null, ...], corrected: float) -> tuple[Null, ...]:
    """None for a corrected p-value that is small; else those that are not beaten or, where each is and that does not
    stand correction over latents, the closest."""
    if corrected <= LEVEL:
        return ()
    closest = max(nulls, key=lambda null: null.p_value or 0.0)
    return tuple(null for null in nulls if (null.p_value or 0.0) > LEVEL) or (closest,)


@final
@dataclass(frozen=True)
class CrispnessStudy:
    """Every latent in the model, and in its untrained twin."""

    model: str
    family: str
    digest: str
    causal: bool
    text_set: str
    text_digest: str
    found: tuple[LatentFinding, ...]
    twin: tuple[LatentFinding, ...]
    twins: int
    path: PathReading
    seed: int
    settings: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def crisp(self) -> tuple[LatentFinding, ...]:
        return tuple(each for each in self.found if each.crisp)

    def twin_of(self, finding: LatentFinding) -> LatentFinding:
        return next(each for each in self.twin if each.latent == finding.latent)

    def met_by_both(self, finding: LatentFinding, name: str) -> bool:
        """Whether the untrained twin meets a criterion as the model does: training is not what that shows."""
        return finding.met[name] and self.twin_of(finding).met[name]

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "family": self.family,
            "digest": self.digest,
            "text_set": self.text_set,
            "text_digest": self.text_digest,
            "crisp": [each.latent for each in self.crisp],
            "criteria": CRITERIA,
            "latents": [each.to_json() for each in self.found],
            "untrained": [each.to_json() for each in self.twin],
            "twins": self.twins,
            "path_length": asdict(self.path),
            "seed": self.seed,
            "settings": self.settings,
        }
