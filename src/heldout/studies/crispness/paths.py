"""How many sublayers in sequence a model needs for what it does, where that can be asked."""

from __future__ import annotations

from heldout.models import Model
from heldout.studies.crispness.findings import PathReading
from heldout.studies.crispness.texts import TextSet
from heldout.techniques import PathLength

MOST = 64


def path_reading(model: Model, text_set: TextSet, seed: int) -> PathReading:
    """Of a causal model on a suite's samples with a target, over the first `MOST`."""
    if not model.architecture.causal:
        reason = f"{model.architecture.family} gives no next token, and norms its stream after each sublayer: "
        return PathReading(missing=reason + "the technique path_length does not apply")
    if not text_set.targets:
        return PathReading(missing=f"{text_set.name} has no samples with a target")
    results = PathLength(lesions=0, shuffles=0, seed=seed).run(model, text_set.targets[:MOST])
    found = next(result for result in results if result.quantity == "effective_path_length")
    return PathReading(found.effect, found.interval, found.nulls[0].mean)
