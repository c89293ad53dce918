"""What a model that adds by trigonometric identities looks like, as checks that can fail.

They say nothing of dates or of which frequencies: those are different for every seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from heldout.studies.drawing.digits import three_digits
from heldout.studies.grokking.measures import ProgressMeasures
from heldout.studies.grokking.subspaces import SubspaceLosses
from heldout.studies.grokking.task import ModularAddition

GENERALISES = 0.99
MOST_OF_IT = 0.8
SIGNIFICANT = 0.05


@final
@dataclass(frozen=True)
class Check:
    """A statement about the last checkpoint, the numbers that it is about, and whether it holds."""

    name: str
    found: str
    holds: bool


def checks(
    task: ModularAddition, keys: tuple[int, ...], last: ProgressMeasures, neurons: SubspaceLosses | None
) -> list[Check]:
    chance = math.log(task.modulus)
    frequencies = task.modulus // 2
    _, single, whole = last.order_losses
    found = [
        Check("answers pairs it was not trained on", f"{last.test_accuracy:.4f}", last.test_accuracy >= GENERALISES),
        Check("few frequencies are key", f"{len(keys)} of {frequencies}", 1 <= len(keys) <= frequencies // 2),
        Check(
            "their cosines explain most of the logits’ variance",
            f"{last.logit_variance_explained:.3f}",
            last.logit_variance_explained > MOST_OF_IT,
        ),
        Check(
            "most of the squares of W_L are theirs",
            f"{last.neuron_logit_key_share:.3f}",
            last.neuron_logit_key_share > MOST_OF_IT,
        ),
        Check(
            "they suffice: restricted loss is below the loss",
            f"{three_digits(last.restricted)} < {three_digits(last.loss)}",
            last.restricted < last.loss,
        ),
        Check(
            "they are needed: excluded loss on trained pairs is above half of chance",
            f"{last.excluded_train:.2f} > {chance / 2:.2f}",
            last.excluded_train > chance / 2,
        ),
        Check(
            "one sublayer is not enough, attention into the MLP is",
            f"{single:.2f} > {chance:.2f}, {three_digits(whole)}",
            single > chance > 10 * whole,
        ),
    ]
    if neurons is not None:
        p_values = f"p {neurons.suffices_p_value:.2g}, {neurons.necessary_p_value:.2g}"
        beats = max(neurons.suffices_p_value, neurons.necessary_p_value) <= SIGNIFICANT
        found.append(Check("the neurons’ subspace beats random ones both ways", p_values, beats))
    return found
