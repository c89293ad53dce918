"""How alike a checkpoint's representations are to those of the last one: debiased CKA, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

from heldout.execution.result import Null, Result
from heldout.models import Checkpoint, Model
from heldout.models.sites import evenly
from heldout.studies.trajectory.asked import Asked
from heldout.studies.trajectory.gauge import as_json
from heldout.studies.trajectory.readouts import Activations, finite_activations
from heldout.techniques.representation_comparison import DebiasedCKA, Draws, PrincipalComponents, compare

ALIKE = "likeness_to_last"
LAYERS = 3
MOST_PROMPTS = 300
OTHER = "other prompts"


@final
@dataclass(frozen=True, eq=False)
class Likeness:
    """At up to three layers, the last among them; the null gives the last checkpoint other prompts."""

    asked: Asked
    last: Activations
    key: str
    draws: Draws = field(default_factory=lambda: Draws(permutations=99, halves=99))
    name: str = "likeness"

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.asked.key, "last": self.key, "draws": vars(self.draws)}

    def measure(self, model: Model, checkpoint: Checkpoint, **settings: Any) -> list[dict[str, Any]]:
        rows = range(len(self.asked.items))[:MOST_PROMPTS]
        sites = evenly(list(self.last), LAYERS)
        activations = finite_activations(model, self.asked.tokens(model, rows), sites)
        results: list[Result] = []
        for site in sites:
            here, there = (PrincipalComponents.of(values[site][: len(rows)]) for values in (activations, self.last))
            found = compare(DebiasedCKA(), here, there, self.draws)
            unrelated = found.unrelated
            null = Null(OTHER, float(unrelated.mean()), float(unrelated.max()), len(unrelated), found.p_value)
            results.append(
                Result(
                    technique="representation_comparison",
                    quantity=ALIKE,
                    unit="debiased CKA",
                    effect=found.value,
                    n=found.items,
                    interval=found.interval,
                    nulls=(null,),
                    site=str(site),
                    layer=site.layer,
                    position=-1,
                    settings={"flags": list(found.flags)},
                )
            )
        return as_json(results)
