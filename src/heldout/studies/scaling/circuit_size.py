"""How many edges a behaviour needs: the smallest circuit from which on larger ones do what the model does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import numpy as np

from heldout.models import Model
from heldout.seeds import torch_generator
from heldout.studies.scaling.prompts import Halves
from heldout.studies.scaling.reading import Reading
from heldout.techniques.circuits import (
    CircuitRuns,
    Comparison,
    EdgeAttributionPatching,
    EdgeScores,
    Ends,
    InputGradients,
    random_paths,
)

STEPS = 5
"""Gradients along the path from the other prompt, for each score (EAP-IG)."""
PER_DOUBLING = 4
RANDOM_CIRCUITS = 5
CERTAIN = 2.0
"""Standard errors by which the model must tell the answers apart."""


def circuit_size(model: Model, pairs: Halves | None, faithful: float, seed: int) -> Reading:
    """Edges in the order of EAP-IG's scores on one half of the pairs, judged on the other half: the smallest circuit whose
    faithfulness is at least `faithful`, and that of all larger ones. The null is the median over random circuits.

    Refused where too few prompts have a counterpart, and where the model does not tell answers apart by more than chance:
    then there is nothing for a circuit to carry."""
    if pairs is None:
        return Reading("circuit_size", None, ("no pairs: too few prompts of equal length with different answers",))
    found_on, judged_on = pairs
    assert found_on.metric is not None
    assert judged_on.metric is not None
    runs = CircuitRuns(Comparison(model, judged_on.first, judged_on.second, judged_on.metric))
    if reason := _nothing_to_carry(runs):
        return Reading("circuit_size", None, (reason,))
    scorer = EdgeAttributionPatching(InputGradients(steps=STEPS))
    scores = scorer.scores(model, found_on.first, found_on.second, found_on.metric)
    ends, sizes = Ends.of(runs), sizes_up_to(scores.graph.n_edges)
    random = [
        random_paths(scores.graph, torch_generator(seed, "random circuits", draw)) for draw in range(RANDOM_CIRCUITS)
    ]
    curve = _faithfulness(runs, ends, scores, sizes)
    return Reading(
        "circuit_size",
        value=float(smallest(sizes, curve, faithful)),
        null=float(median(smallest(sizes, _faithfulness(runs, ends, each, sizes), faithful) for each in random)),
        details={"edges": scores.graph.n_edges, "sizes": list(sizes), "faithfulness": list(curve)},
    )


def sizes_up_to(edges: int) -> tuple[int, ...]:
    """From one edge to all of them, four sizes a doubling."""
    count = math.ceil(math.log2(max(edges, 2)) * PER_DOUBLING) + 1
    return tuple(sorted({round(size) for size in np.geomspace(1, edges, count)}))


def smallest(sizes: Sequence[int], faithfulness: Sequence[float], least: float) -> int:
    """The size from which on faithfulness stays at `least` or above.

    >>> smallest([1, 2, 4, 8], [0.9, 0.3, 0.85, 1.0], 0.8)
    4
    """
    kept = sizes[-1]
    for size, value in zip(reversed(sizes), reversed(faithfulness), strict=True):
        if value < least:
            break
        kept = size
    return kept


def _faithfulness(runs: CircuitRuns, ends: Ends, scores: EdgeScores, sizes: Sequence[int]) -> list[float]:
    return ends.faithfulness(runs.values([scores.top(size) for size in sizes])).tolist()


def _nothing_to_carry(runs: CircuitRuns) -> str | None:
    values = runs.clean_values.double()
    error = float(values.std()) / len(values) ** 0.5
    if float(values.mean()) > CERTAIN * error:
        return None
    return (
        f"nothing to carry: the right answer's logit is {float(values.mean()):.2g} ± {error:.2g} above that of another "
        "prompt's answer"
    )
