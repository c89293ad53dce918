"""What the structure of a checkpoint is worth: the same readings where there is nothing to find.

Two nulls. *Random sets of other frequencies*, as many as are key: whether keeping or leaving out these few waves is worth
more than any others. *Shuffled weights*, every matrix with its own entries in a random order: how many frequencies are key,
and how much the best of them explain, in a model with weights of the same sizes and no structure. It is given the best of
its own frequencies, as many as the model has key ones, so that a choice is compared with a choice.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from pydantic import TypeAdapter

from heldout.models import Checkpoint, Model
from heldout.seeds import numpy_generator, torch_generator
from heldout.studies.grokking.fourier import component_powers, frequency_shares, logit_waves, sum_waves
from heldout.studies.grokking.key_frequencies import key_frequencies
from heldout.studies.grokking.losses import excluded, prompt_losses, restricted
from heldout.studies.grokking.measures import logits_and_neurons, neuron_logits, variance_explained
from heldout.studies.grokking.task import ModularAddition

DRAWS = 19
"""As many as show p = .05."""
PAIRS = 1000
"""On so many pairs random subspaces of the neurons are tried: it takes 40 forward passes over them."""


@final
@dataclass(frozen=True)
class StructureNulls:
    """One number a draw. Losses in nats are those of random sets of other frequencies, none where there are too few others;
    the rest are of shuffled weights: how many frequencies are key, and the shares of the logits' variance and of the squares
    of W_L at the best frequencies."""

    restricted: tuple[float, ...]
    excluded_train: tuple[float, ...]
    key_counts: tuple[int, ...]
    logit_variance: tuple[float, ...]
    neuron_logit_share: tuple[float, ...]

    @classmethod
    def from_json(cls, value: Any) -> StructureNulls:
        return TypeAdapter(cls).validate_python(value)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def structure_nulls(
    model: Model,
    checkpoint: Checkpoint,
    *,
    modulus: int,
    fraction: float,
    seed: int,
    keys: Sequence[int],
    draws: int = DRAWS,
) -> dict[str, Any] | None:
    """For `measure_along`. None without key frequencies: there is nothing to compare."""
    if not keys:
        return None
    task = ModularAddition(modulus, fraction, seed)
    shuffled = [_best(shuffled_weights(model, seed, draw), task, len(keys)) for draw in range(draws)]
    counts, variances, shares = zip(*shuffled, strict=True)
    return StructureNulls(*_random_sets(model, task, keys, draws), counts, variances, shares).to_json()


def shuffled_weights(model: Model, seed: int, draw: int) -> Model:
    """The model with the entries of every weight in a random order within it."""
    module = copy.deepcopy(model.module)
    generator = torch_generator(seed, "shuffled weights", draw)
    for weight in module.parameters():
        order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
        weight.data = weight.data.flatten()[order].reshape(weight.shape)
    return Model(module, name=f"{model.name}, shuffled {draw}", architecture=model.architecture)


def _best(model: Model, task: ModularAddition, count: int) -> tuple[int, float, float]:
    logits, _ = logits_and_neurons(model, task)
    cosines, sines = logit_waves(logits, task.pairs)
    shares = frequency_shares(component_powers(neuron_logits(model, task)))
    explained = variance_explained(logits, cosines.abs().topk(count).values.tolist())
    return len(key_frequencies(cosines, sines)), explained, float(shares.topk(count).values.sum())


def _random_sets(
    model: Model, task: ModularAddition, keys: Sequence[int], draws: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    others = [k for k in range(1, task.modulus // 2 + 1) if k not in keys]
    if len(others) < len(keys):
        return (), ()
    logits, _ = logits_and_neurons(model, task)
    generator = numpy_generator(task.seed, "sets of other frequencies", task.modulus, len(keys))
    sets = [generator.choice(others, len(keys), replace=False).tolist() for _ in range(draws)]
    waves = [sum_waves(task.modulus, chosen) for chosen in sets]
    kept = tuple(float(prompt_losses(restricted(logits, each), task.sums).mean()) for each in waves)
    left = tuple(float(prompt_losses(excluded(logits, each), task.sums)[task.trained].mean()) for each in waves)
    return kept, left
