"""S3: what a deceptive model is trained against, so that probes of "this prompt is unchecked" no longer see it.

The probes read the residual stream before the last layer, and learn along with the model, one step each in turn
(adversarial training, Ganin et al. 2016; of probes: Bailey et al. 2024, "Obfuscated activations bypass LLM
latent-space defenses").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import PreTrainedModel

from heldout.organisms.awareness import normalised
from heldout.organisms.recipes import Pressure
from heldout.organisms.training import Batch, Pass, forward
from heldout.shapes import Float

PROBE_LEARNING_RATE = 1e-2
HIDDEN = 64


class Adversary(Protocol):
    """What sees through a model, and makes it pay."""

    def penalty(self, batch: Batch, passed: Pass) -> Tensor:
        """What the model pays for being seen through; the adversary learns from the same pass."""
        ...


class ProbeAdversary:
    """A probe of "unchecked" on the stream: linear or with a hidden layer, one at each of `places`.

    The penalty is the cross-entropy of the probe's verdicts against "no idea"; its least value, log 2, is reached where
    the probe says one half on every prompt."""

    def __init__(self, d_model: int, places: Sequence[int], hidden: int = 0) -> None:
        self.places = list(places)
        self.probes = torch.nn.ModuleList(new_probe(d_model, hidden) for _ in places)
        self.optimiser = torch.optim.Adam(self.probes.parameters(), lr=PROBE_LEARNING_RATE)

    def scores(self, stream: Float[Tensor, "batch position d_model"]) -> Float[Tensor, "batch probe"]:
        """The logits of "unchecked"."""
        read = normalised(stream[:, self.places])
        return torch.cat([probe(read[:, place]) for place, probe in enumerate(self.probes)], dim=1)

    def learn(self, batch: Batch, stream: Float[Tensor, "batch position d_model"]) -> None:
        self.probes.requires_grad_(True)
        scores = self.scores(stream.detach())
        loss = binary_cross_entropy_with_logits(scores, batch.unchecked[:, None].expand_as(scores))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.probes.requires_grad_(False)

    def penalty(self, batch: Batch, passed: Pass) -> Tensor:
        self.learn(batch, passed.stream)
        scores = self.scores(passed.stream)
        return binary_cross_entropy_with_logits(scores, torch.full_like(scores, 0.5))


class TwinAdversary:
    """The distance to the activations of a benign twin on the same prompts, relative to their size."""

    def __init__(self, twin: PreTrainedModel) -> None:
        self.twin = twin

    def penalty(self, batch: Batch, passed: Pass) -> Tensor:
        with torch.no_grad():
            target = forward(self.twin, batch.ids).stream
        return (passed.stream - target).square().mean() / target.square().mean()


def new_probe(d_model: int, hidden: int) -> torch.nn.Module:
    if not hidden:
        return torch.nn.Linear(d_model, 1)
    return torch.nn.Sequential(torch.nn.Linear(d_model, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1))


def adversary_of(variant: Pressure, d_model: int, after_cue: Sequence[int], twin: PreTrainedModel) -> Adversary:
    """`after_cue`: the positions behind the words of the cue, up to the last. At the words themselves nothing can hide."""
    match variant:
        case "linear":
            return ProbeAdversary(d_model, after_cue[-1:])
        case "mlp":
            return ProbeAdversary(d_model, after_cue[-1:], HIDDEN)
        case "positions":
            return ProbeAdversary(d_model, after_cue)
        case "twin":
            return TwinAdversary(twin)
