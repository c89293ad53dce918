"""What a model that adds by trigonometric identities looks like, as checks that can fail.

Each has a threshold and a null, and holds where it is beyond both. They say nothing of dates or of which frequencies: those
are different for every seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heldout.execution.result import Null, Result
from heldout.statistics import exceeds_rate_p_value, permutation_p_value, proportion_interval
from heldout.studies.drawing.digits import three_digits
from heldout.studies.grokking.measures import ProgressMeasures
from heldout.studies.grokking.nulls import PAIRS, StructureNulls
from heldout.studies.grokking.subspaces import SubspaceLosses
from heldout.studies.grokking.task import ModularAddition

GENERALISES = 0.99
MOST_OF_IT = 0.8
SIGNIFICANT = 0.05
GUESSING, UNIFORM = "guessing", "equal logits"
SHUFFLED, OTHERS = "shuffled weights", "random sets of other frequencies"
SUBSPACES = "random subspaces of the same rank"


@final
@dataclass(frozen=True)
class Check:
    """A statement about the last checkpoint, the numbers that it is about, whether it holds, and its measurements with
    their nulls."""

    name: str
    found: str
    holds: bool
    results: tuple[Result, ...]


def checks(
    task: ModularAddition,
    keys: tuple[int, ...],
    last: ProgressMeasures,
    neurons: SubspaceLosses | None,
    nulls: StructureNulls | None,
) -> list[Check]:
    chance = math.log(task.modulus)
    _, single, whole = last.order_losses
    found = [
        _generalises(task, last),
        *_spectrum(task, keys, last, nulls),
        _check(
            "they suffice: restricted loss is below the loss",
            f"{three_digits(last.restricted)} < {three_digits(last.loss)}",
            last.restricted < last.loss,
            _low("restricted_loss", last.restricted, len(task.pairs), OTHERS, nulls.restricted if nulls else ()),
        ),
        _check(
            "they are needed: excluded loss on trained pairs is above half of chance",
            f"{last.excluded_train:.2f} > {chance / 2:.2f}",
            last.excluded_train > chance / 2,
            _high(
                "excluded_loss", last.excluded_train, int(task.trained.sum()), OTHERS, nulls.excluded_train if nulls else ()
            ),
        ),
        Check(
            "one sublayer is not enough, attention into the MLP is",
            f"{single:.2f} > {chance:.2f}, {three_digits(whole)}",
            single > chance > 10 * whole,
            tuple(
                Result("path_length", f"order_{order}_loss", "nats", loss, len(task.pairs),
                       nulls=(Null(UNIFORM, chance, chance, 1),))
                for order, loss in enumerate(last.order_losses)
            ),
        ),
    ]  # fmt: skip
    return found if neurons is None else [*found, _neurons(min(PAIRS, len(task.pairs)), neurons)]


def _generalises(task: ModularAddition, last: ProgressMeasures) -> Check:
    n = int((~task.trained).sum())
    right, rate = round(last.test_accuracy * n), 1.0 / task.modulus
    null = Null(GUESSING, rate, rate, n, exceeds_rate_p_value(right, n, rate))
    accuracy = Result(
        technique="accuracy",
        quantity="test_accuracy",
        unit="fraction of pairs",
        effect=last.test_accuracy,
        n=n,
        interval=proportion_interval(right, n),
        nulls=(null,),
        split="test",
    )
    name = "answers pairs it was not trained on"
    return _check(name, f"{last.test_accuracy:.4f}", last.test_accuracy >= GENERALISES, accuracy)


def _spectrum(
    task: ModularAddition, keys: tuple[int, ...], last: ProgressMeasures, nulls: StructureNulls | None
) -> list[Check]:
    """How many frequencies are key, and how much of the logits and of W_L is theirs."""
    frequencies, pairs = task.modulus // 2, len(task.pairs)
    explained, share = last.logit_variance_explained, last.neuron_logit_key_share
    return [
        _check(
            "few frequencies are key",
            f"{len(keys)} of {frequencies}",
            1 <= len(keys) <= frequencies // 2,
            _high("key_frequencies", len(keys), frequencies, SHUFFLED, nulls.key_counts if nulls else ()),
        ),
        _check(
            "their cosines explain most of the logits’ variance",
            f"{explained:.3f}",
            explained > MOST_OF_IT,
            _high("logit_variance_explained", explained, pairs, SHUFFLED, nulls.logit_variance if nulls else ()),
        ),
        _check(
            "most of the squares of W_L are theirs",
            f"{share:.3f}",
            share > MOST_OF_IT,
            _high("neuron_logit_key_share", share, last.neurons, SHUFFLED, nulls.neuron_logit_share if nulls else ()),
        ),
    ]


def _neurons(pairs: int, neurons: SubspaceLosses) -> Check:
    p_values = f"p {neurons.suffices_p_value:.2g}, {neurons.necessary_p_value:.2g}"
    results = (
        _low("restricted_loss_of_neurons", neurons.restricted, pairs, SUBSPACES, neurons.random_restricted),
        _high("excluded_loss_of_neurons", neurons.excluded, pairs, SUBSPACES, neurons.random_excluded),
    )
    return _check("the neurons’ subspace beats random ones both ways", p_values, True, *results)


def _check(name: str, found: str, beyond: bool, *results: Result) -> Check:
    """A check whose threshold is passed or not; without a null it does not hold."""
    return Check(name, found, beyond and all(_beats(result) for result in results), results)


def _beats(result: Result) -> bool:
    p_values = [null.p_value for null in result.nulls if null.p_value is not None]
    return bool(p_values) and max(p_values) <= SIGNIFICANT


def _high(quantity: str, effect: float, n: int, name: str, draws: Sequence[float]) -> Result:
    return _against(quantity, effect, n, name, draws, 1.0)


def _low(quantity: str, effect: float, n: int, name: str, draws: Sequence[float]) -> Result:
    """Of what is good where it is low: the p-value is the share of draws that are as low."""
    return _against(quantity, effect, n, name, draws, -1.0)


def _against(quantity: str, effect: float, n: int, name: str, draws: Sequence[float], sign: float) -> Result:
    values = np.array(draws, dtype=np.float64)
    p_value = permutation_p_value(sign * effect, sign * values)
    null = [Null(name, float(values.mean()), float(values.max()), len(values), p_value)] if len(values) else []
    return Result(
        technique="fourier analysis",
        quantity=quantity,
        unit=UNITS[quantity],
        effect=float(effect),
        n=n,
        nulls=tuple(null),
    )


UNITS = {
    "key_frequencies": "frequencies",
    "logit_variance_explained": "fraction of variance",
    "neuron_logit_key_share": "fraction of squares",
    "restricted_loss": "nats",
    "excluded_loss": "nats",
    "restricted_loss_of_neurons": "nats",
    "excluded_loss_of_neurons": "nats",
}
