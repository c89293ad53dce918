"""What the study found: readings of models, what changed between two, and what holds over several."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from heldout.studies.reward.ablation import Ablation
from heldout.studies.reward.attribution import Attribution
from heldout.studies.reward.best_of_n import Chosen
from heldout.studies.reward.changes import Change, UnknownChange
from heldout.studies.reward.over_models import OverModels
from heldout.studies.reward.pairs import ALPHA, QUALITY
from heldout.studies.reward.shuffling import Shuffled
from heldout.studies.reward.slopes import Slope

REDUCED = 0.8
"""The share of its slope that an ablation must take from a feature, to be called its cause."""
QUALITY_KEPT = 0.8
"""The share of quality's own slope that must stay."""
ACCURACY_LOST = 0.02
COMPLETE = 0.05
PARTS_KEPT = 12


@final
@dataclass(frozen=True)
class Exploited:
    """Best-of-n by the score as it is (`ablated` None), or by the score without a feature's direction. `shuffled` is what
    chance gives at the largest n; of the score as it is alone."""

    ablated: str | None
    chosen: tuple[Chosen, ...]
    shuffled: tuple[Shuffled, ...] = ()

    def at(self, name: str, n: int) -> Chosen:
        return next(each for each in self.chosen if each.name == name and each.n == n)

    def null(self, name: str) -> Shuffled:
        return next(each for each in self.shuffled if each.name == name)

    @property
    def most(self) -> int:
        return max(each.n for each in self.chosen)


@final
@dataclass(frozen=True)
class Reading:
    """One reward model. `slopes` begin with quality; ablations are of the features that were found."""

    name: str
    digest: str
    accuracy: float
    slopes: tuple[Slope, ...]
    attributions: tuple[Attribution, ...]
    ablations: tuple[Ablation, ...]
    best_of_n: tuple[Exploited, ...]

    def slope(self, feature: str) -> Slope:
        return next(each for each in self.slopes if each.feature == feature)

    @property
    def quality(self) -> Slope:
        return self.slope(QUALITY)

    def in_quality(self, feature: str) -> float | None:
        """A slope in units of what a unit of quality is worth, whatever the sign of that; None where that was not found."""
        ratio = self.slope(feature).in_quality
        return None if ratio is None else ratio.value

    @property
    def spurious(self) -> tuple[Slope, ...]:
        return tuple(each for each in self.slopes if each.feature != QUALITY)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of parts that differences are attributed to."""
        return tuple(dict.fromkeys(each.kind for each in self.attributions))

    def completeness_error(self, kind: str) -> float:
        """Of all attributed pairs of one kind together: Σ |left over| / Σ |difference|."""
        own = [each for each in self.attributions if each.kind == kind]
        total = sum(float(np.abs(each.difference).sum()) for each in own)
        return sum(float(np.abs(each.left_over).sum()) for each in own) / total if total else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "digest": self.digest,
            "accuracy_on_quality": self.accuracy,
            "completeness_error": {kind: self.completeness_error(kind) for kind in self.kinds},
            "slopes": [each.to_json() for each in self.slopes],
            "attributions": [
                {
                    "feature": each.feature,
                    "kind": each.kind,
                    "difference": float(each.difference.mean()),
                    "left_over": float(each.left_over.mean()),
                    "completeness_error": each.completeness_error,
                    "parts": dict(list(each.means.items())[:PARTS_KEPT]),
                }
                for each in self.attributions
            ],
            "ablations": [each.to_json() for each in self.ablations],
            "best_of_n": [asdict(each) for each in self.best_of_n],
        }


def is_cause(ablation: Ablation) -> bool:
    """The direction carries the slope and not the quality: REDUCED of the slope goes, in units of quality, and more than random
    directions take, over all features whose direction was taken out; quality keeps QUALITY_KEPT of its slope, and its accuracy
    to ACCURACY_LOST."""
    accurate = ablation.quality_after >= ablation.quality_before - ACCURACY_LOST
    kept = accurate and ablation.quality_kept >= QUALITY_KEPT
    return kept and ablation.reduction >= REDUCED and ablation.p_value <= ALPHA


@final
@dataclass(frozen=True)
class RewardStudy:
    """Readings of one model, or of several of one recipe, and what holds over them; with `before`, what changed from that
    model to the one."""

    readings: tuple[Reading, ...]
    pairs: str
    n_pairs: int
    over_models: tuple[OverModels, ...]
    before: Reading | None = None
    changes: tuple[Change | UnknownChange, ...] = ()

    @property
    def features(self) -> list[str]:
        return [each.feature for each in self.readings[0].spurious]

    def to_json(self) -> dict[str, Any]:
        return {
            "pairs": self.pairs,
            "n_pairs": self.n_pairs,
            "models": [each.to_json() for each in self.readings],
            "over_models": [each.to_json() for each in self.over_models],
            "before": None if self.before is None else self.before.to_json(),
            "changes": [each.to_json() for each in self.changes],
        }
