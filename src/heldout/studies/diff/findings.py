"""Everything that the study found, in one frozen record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from heldout.evidence import Claim
from heldout.statistics import mean_interval
from heldout.studies.diff.activation_lens import LensReading
from heldout.studies.diff.divergence import Divergence
from heldout.studies.diff.interchange import Change, Share
from heldout.studies.diff.latents import LatentReading
from heldout.studies.diff.prompts import Prompts
from heldout.studies.diff.weight_deltas import ComponentDelta, Spectrum


@final
@dataclass(frozen=True, eq=False)
class Measured:
    """One fine-tune beside the base. Empty, or None, where the two cannot be compared."""

    name: str
    digest: str
    deltas: tuple[ComponentDelta, ...]
    lens: tuple[LensReading, ...]
    divergences: tuple[Divergence, ...]
    change: Change | None
    latents: LatentReading | None = None

    @property
    def relative_norm(self) -> float:
        """How far all shared weights moved, relative to how large they were."""
        moved = sum(delta.norm**2 for delta in self.deltas)
        size = sum((delta.norm / delta.relative_norm) ** 2 for delta in self.deltas if delta.relative_norm)
        return (moved / size) ** 0.5 if size else 0.0

    def delta(self, component: str) -> ComponentDelta | None:
        return next((delta for delta in self.deltas if delta.component == component), None)


@final
@dataclass(frozen=True, eq=False)
class ModelDiff:
    """What a fine-tune changed; docs/diff.md says what the words mean.

    `quantity` is what the behaviour is measured by, `not_attributed` why no component was exchanged."""

    base: str
    base_digest: str
    tuned: Measured
    references: tuple[Measured, ...]
    sources: tuple[Prompts, ...]
    quantity: str
    spectra: tuple[Spectrum, ...]
    shares: tuple[Share, ...]
    not_attributed: str | None
    left_out: tuple[str, ...]
    claims: tuple[Claim, ...]
    seed: int
    draws: int

    @property
    def found(self) -> tuple[Claim, ...]:
        return tuple(claim for claim in self.claims if claim.found)

    @property
    def identical(self) -> bool:
        return not self.left_out and all(delta.norm == 0 for delta in self.tuned.deltas)

    def shares_of(self, kind: str) -> tuple[Share, ...]:
        return tuple(share for share in self.shares if share.kind == kind)

    def to_json(self) -> dict[str, Any]:
        return {
            "base": {"name": self.base, "digest": self.base_digest},
            "tuned": measured_json(self.tuned),
            "references": [measured_json(reference) for reference in self.references],
            "prompts": [{"source": each.source, "digest": each.digest, "n": len(each)} for each in self.sources],
            "behaviour": self.quantity,
            "shares": [asdict(share) for share in self.shares],
            "not_attributed": self.not_attributed,
            "left_out": list(self.left_out),
            "found": [claim.statement for claim in self.found],
            "claims": [claim.to_json() for claim in self.claims],
            "seed": self.seed,
            "draws": self.draws,
        }


def measured_json(measured: Measured) -> dict[str, Any]:
    change = None if measured.change is None else measured.change.tuned - measured.change.base
    return {
        "name": measured.name,
        "digest": measured.digest,
        "relative_norm": measured.relative_norm,
        "components": [asdict(delta) for delta in measured.deltas],
        "activations": [
            {"layer": each.layer, "shift": each.shift, "top_push": each.top_push,
             "tokens": [token.text for token in each.tokens]}
            for each in measured.lens
        ],
        "divergence": {each.source: {"mean": each.mean, "interval": each.interval} for each in measured.divergences},
        "latents": None if measured.latents is None else asdict(measured.latents),
        "change": None if change is None else {"mean": float(np.mean(change)), "interval": mean_interval(change)},
    }  # fmt: skip
