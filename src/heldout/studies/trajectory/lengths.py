"""How many sublayers after one another a checkpoint needs for the verified prompts: effective path length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from heldout.models import Checkpoint, Model
from heldout.studies.trajectory.asked import Asked
from heldout.studies.trajectory.gauge import as_json
from heldout.techniques.path_length import PathLength

LENGTH = "effective_path_length"
MOST_PROMPTS = 128


@final
@dataclass(frozen=True, eq=False)
class Lengths:
    """The technique `path_length` without its cross-check, on verified prompts: K*, and the loss of each order. Where a
    model has learnt nothing every order is as bad, and K* is short."""

    asked: Asked
    name: str = "path_length"

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.asked.key, "most": MOST_PROMPTS}

    def measure(self, model: Model, checkpoint: Checkpoint, **settings: Any) -> list[dict[str, Any]]:
        samples = [self.asked.samples[row] for row in self.asked.rows("verified")[:MOST_PROMPTS]]
        return as_json(PathLength(lesions=0, seed=self.asked.seed).run(model, samples))
