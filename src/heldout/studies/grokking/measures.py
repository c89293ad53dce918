"""The progress measures of arXiv 2301.05217 at one checkpoint, with the path order beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import Tensor

from heldout.models import Checkpoint, Model, Site, batch_size
from heldout.seeds import numpy_generator
from heldout.shapes import Float
from heldout.studies.grokking.fourier import (
    component_powers,
    frequency_shares,
    logit_waves,
    neuron_shares,
    sum_waves,
)
from heldout.studies.grokking.key_frequencies import key_frequencies
from heldout.studies.grokking.losses import excluded, prompt_losses, restricted
from heldout.studies.grokking.task import ModularAddition
from heldout.techniques.path_length import order_readings

SINGLE_FREQUENCY = 0.85
"""A neuron of a single frequency has this share of its variance there, or more (arXiv 2301.05217, section 4.3)."""
RANDOM_SETS = 5
NEURONS = Site("mlp_post", 0)


@final
@dataclass(frozen=True)
class FrequencyMeasures:
    """One frequency: coefficients of cos and sin of 2πk(a + b − c)/p (logits), shares of W_E and of W_L, neurons that
    have it alone, and the loss (nats) without it."""

    frequency: int
    logit_cosine: float
    logit_sine: float
    embedding_share: float
    neuron_logit_share: float
    neurons: int
    excluded_train: float
    excluded_test: float


@final
@dataclass(frozen=True)
class ProgressMeasures:
    """Losses in nats, over the pairs that are trained on (train), the others (test), or all. W_L is W_U · W_out, from
    neurons to logits. `random_…` are means over random sets of as many other frequencies, None where there are not
    enough; `order_losses` those with at most 0, 1, 2 sublayers after one another."""

    loss: float
    train_loss: float
    test_loss: float
    train_accuracy: float
    test_accuracy: float
    restricted: float
    restricted_train: float
    restricted_test: float
    excluded_train: float
    excluded_test: float
    random_restricted: float | None
    random_excluded_train: float | None
    embedding_gini: float
    neuron_logit_gini: float
    embedding_key_share: float
    neuron_logit_key_share: float
    logit_variance_explained: float
    sum_of_squares: float
    neurons: int
    single_frequency_neurons: int
    order_losses: tuple[float, ...]
    frequencies: tuple[FrequencyMeasures, ...]

    @classmethod
    def from_json(cls, value: Any) -> ProgressMeasures:
        return _MEASURES.validate_python(value)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


_MEASURES = TypeAdapter(ProgressMeasures)


def progress_measures(
    model: Model, checkpoint: Checkpoint, *, modulus: int, fraction: float, seed: int, keys: Sequence[int]
) -> dict[str, Any]:
    """For `measure_along`: what `measures_of` finds, as JSON holds it."""
    return measures_of(model, ModularAddition(modulus, fraction, seed), keys).to_json()


def keys_of(model: Model, task: ModularAddition) -> tuple[int, ...]:
    """The key frequencies of a model's logits over all pairs."""
    return key_frequencies(*logit_waves(logits_and_neurons(model, task)[0], task.pairs))


def measures_of(model: Model, task: ModularAddition, keys: Sequence[int]) -> ProgressMeasures:
    """Everything that is measured of a one-layer transformer; `keys` are the frequencies that the hypothesis names."""
    logits, neurons = logits_and_neurons(model, task)
    frequencies = _by_frequency(model, task, logits, neurons)
    shares = torch.tensor([[each.embedding_share, each.neuron_logit_share] for each in frequencies])
    places = [key - 1 for key in keys]
    return ProgressMeasures(
        **_losses(task, logits, keys),
        embedding_gini=gini(component_powers(_embedding(model, task)).sqrt()),
        neuron_logit_gini=gini(component_powers(neuron_logits(model, task)).sqrt()),
        embedding_key_share=float(shares[places, 0].sum()),
        neuron_logit_key_share=float(shares[places, 1].sum()),
        logit_variance_explained=variance_explained(logits, [frequencies[place].logit_cosine for place in places]),
        sum_of_squares=sum(float(weight.double().square().sum()) for weight in model.module.parameters()),
        neurons=neurons.shape[1],
        single_frequency_neurons=sum(each.neurons for each in frequencies),
        order_losses=_order_losses(model, task),
        frequencies=tuple(frequencies),
    )


def gini(sizes: Float[Tensor, " component"]) -> float:
    """Gini's coefficient of sizes that are not negative: 0 where all are equal, near 1 where one is everything.

    >>> gini(torch.ones(4)), gini(torch.tensor([0.0, 0.0, 0.0, 1.0]))
    (0.0, 0.75)
    """
    rising, n = sizes.double().sort().values, len(sizes)
    weights = 2 * torch.arange(1, n + 1, dtype=torch.float64) - n - 1
    return float((weights * rising).sum() / (n * rising.sum()))


def variance_explained(logits: Float[Tensor, "pair number"], cosines: Sequence[float]) -> float:
    """The share of the variance of all logits that cosines of 2πk(a + b − c)/p explain, which are orthogonal."""
    return sum(cosine**2 / 2 for cosine in cosines) / float(logits.double().var(correction=0))


def logits_and_neurons(
    model: Model, task: ModularAddition
) -> tuple[Float[Tensor, "pair number"], Float[Tensor, "pair neuron"]]:
    """The logits of the numbers and the neurons at `=`."""
    size = batch_size(model, task.tokens.length, kept_per_token=model.d_mlp or 0)
    traces = [
        model.trace(task.tokens[start : start + size], [NEURONS], positions=-1)
        for start in range(0, len(task.tokens), size)
    ]
    logits = torch.cat([trace.logits for trace in traces])[:, : task.modulus]
    return logits, torch.cat([trace[NEURONS][:, 0] for trace in traces])


def _losses(task: ModularAddition, logits: Float[Tensor, "pair number"], keys: Sequence[int]) -> dict[str, Any]:
    own, right = prompt_losses(logits, task.sums), (logits.argmax(dim=1) == task.sums).double()
    waves = sum_waves(task.modulus, keys)
    kept = prompt_losses(restricted(logits, waves), task.sums)
    left = prompt_losses(excluded(logits, waves), task.sums)
    train, test = task.trained, ~task.trained
    return {
        "loss": float(own.mean()),
        "train_loss": float(own[train].mean()),
        "test_loss": float(own[test].mean()),
        "train_accuracy": float(right[train].mean()),
        "test_accuracy": float(right[test].mean()),
        "restricted": float(kept.mean()),
        "restricted_train": float(kept[train].mean()),
        "restricted_test": float(kept[test].mean()),
        "excluded_train": float(left[train].mean()),
        "excluded_test": float(left[test].mean()),
        **_random_losses(task, logits, keys),
    }


def _random_losses(
    task: ModularAddition, logits: Float[Tensor, "pair number"], keys: Sequence[int]
) -> dict[str, float | None]:
    """The same of random sets of other frequencies, which the hypothesis says do nothing."""
    others = [k for k in range(1, task.modulus // 2 + 1) if k not in keys]
    if not keys or len(others) < len(keys):
        return {"random_restricted": None, "random_excluded_train": None}
    generator = numpy_generator(task.seed, "random frequencies", task.modulus, len(keys))
    sets = [generator.choice(others, len(keys), replace=False).tolist() for _ in range(RANDOM_SETS)]
    waves = [sum_waves(task.modulus, chosen) for chosen in sets]
    kept = [float(prompt_losses(restricted(logits, each), task.sums).mean()) for each in waves]
    left = [float(prompt_losses(excluded(logits, each), task.sums)[task.trained].mean()) for each in waves]
    return {"random_restricted": float(np.mean(kept)), "random_excluded_train": float(np.mean(left))}


def _by_frequency(
    model: Model, task: ModularAddition, logits: Float[Tensor, "pair number"], neurons: Float[Tensor, "pair neuron"]
) -> list[FrequencyMeasures]:
    cosines, sines = logit_waves(logits, task.pairs)
    embedding = frequency_shares(component_powers(_embedding(model, task)))
    read = frequency_shares(component_powers(neuron_logits(model, task)))
    single = (neuron_shares(neurons, task.modulus) > SINGLE_FREQUENCY).sum(dim=1)
    rows: list[FrequencyMeasures] = []
    for place in range(task.modulus // 2):
        left = prompt_losses(excluded(logits, sum_waves(task.modulus, [place + 1])), task.sums)
        rows.append(
            FrequencyMeasures(
                frequency=place + 1,
                logit_cosine=float(cosines[place]),
                logit_sine=float(sines[place]),
                embedding_share=float(embedding[place]),
                neuron_logit_share=float(read[place]),
                neurons=int(single[place]),
                excluded_train=float(left[task.trained].mean()),
                excluded_test=float(left[~task.trained].mean()),
            )
        )
    return rows


def _embedding(model: Model, task: ModularAddition) -> Float[Tensor, "number d_model"]:
    """W_E of the numbers."""
    module: Any = model.module
    return module.embed.weight[: task.modulus]


def neuron_logits(model: Model, task: ModularAddition) -> Float[Tensor, "number neuron"]:
    """W_L = W_U · W_out of the numbers."""
    module: Any = model.module
    return module.unembed.weight[: task.modulus].double() @ module.layers[0].mlp.output.weight.double()


def _order_losses(model: Model, task: ModularAddition) -> tuple[float, ...]:
    """With at most 0 and 1 sublayers after one another; the order 2 of one layer is the model itself."""
    size = batch_size(model, task.tokens.length, kept_per_token=model.d_model * (2 * model.n_layers + 4))
    readings = order_readings(model, task.labelled, [], size, max_order=1)
    return (*readings.loss.double().mean(dim=1).tolist(), float(readings.full_loss.double().mean()))
