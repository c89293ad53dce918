"""How degenerate the weights of a checkpoint are: the local learning coefficient, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import torch

from heldout.execution.result import Result
from heldout.models import Checkpoint, Model
from heldout.studies.trajectory.asked import Asked
from heldout.studies.trajectory.gauge import as_json
from heldout.techniques.learning_coefficient import LearningCoefficient, Sampling, own_outputs
from heldout.techniques.path_length import Labelled

COEFFICIENT = "learning_coefficient"
MOST_PROMPTS = 64


@final
@dataclass(frozen=True, eq=False)
class Coefficients:
    """Of the divergence from the checkpoint's own outputs, which has its minimum there by construction. A reading that is
    refused has no value, and says why."""

    asked: Asked
    n_betas: tuple[float, ...] = (10.0, 30.0, 100.0)
    sampling: Sampling = field(default_factory=lambda: Sampling(chains=8, draws=100, warmup=60, largest_steps=200))
    name: str = "learning_coefficient"

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.asked.key, "n_betas": list(self.n_betas), "sampling": vars(self.sampling)}

    def measure(self, model: Model, checkpoint: Checkpoint, **settings: Any) -> list[dict[str, Any]]:
        rows = self.asked.rows("verified")[:MOST_PROMPTS]
        tokens = self.asked.tokens(model, rows)
        targets = torch.tensor([[model.answer_token(self.asked.samples[row].target or "")] for row in rows])
        technique = LearningCoefficient(n_betas=self.n_betas, sampling=self.sampling, seed=self.asked.seed)
        found = technique.measure(own_outputs(model, Labelled(tokens, targets)))
        return as_json([self._result(found.value, found.interval, found.refused, len(rows))])

    def _result(
        self, value: float | None, interval: tuple[float, float] | None, refused: tuple[str, ...], n: int
    ) -> Result:
        return Result(
            technique="learning_coefficient",
            quantity=COEFFICIENT,
            unit="λ̂",
            effect=0.0 if value is None else value,
            n=n,
            interval=interval,
            settings={"refused": list(refused)},
        )
