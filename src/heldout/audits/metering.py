"""Stages that remember what they cost the candidate: the budget of the behavioural evals is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from heldout.evidence import BundleWriter
from heldout.models import Model


@final
class MeteredStages:
    """A bundle's stages of one behaviour. `spent` counts forward passes of one prompt in all stages so far, those that an
    interrupted run had finished included, at what they cost then."""

    def __init__(self, writer: BundleWriter, model: Model) -> None:
        self.writer = writer
        self.spent = 0.0
        self._meter = model.meter

    def stage(self, name: str, compute: Callable[[], Any]) -> Any:
        """As `BundleWriter.stage`. What a stage takes from memory should be there before it begins, so that a resumed run
        counts the same."""

        def measured() -> dict[str, Any]:
            before = self._meter.samples
            value = compute()
            return {"value": value, "forward_passes": self._meter.samples - before}

        kept = self.writer.stage(name, measured)
        self.spent += kept["forward_passes"]
        return kept["value"]
