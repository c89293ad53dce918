"""From paired activations to a crosscoder: Adam on batches of rows, with help for latents that have died."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from heldout.seeds import torch_generator
from heldout.shapes import Float
from heldout.techniques.dictionaries.crosscoder import Crosscoder, read
from heldout.techniques.dictionaries.side import Side, Standard
from heldout.techniques.dictionaries.sparsity import Sparsity

FIRST_NORM = 0.1
SHARE_OF_DEAD = 1 / 32
"""The weight of the dead latents' own loss (Gao et al. 2024)."""


@final
@dataclass(frozen=True)
class Training:
    """`latents` are those of the dictionary; a latent is dead once it has not been active for `patience` steps."""

    latents: int = 64
    steps: int = 1500
    rows: int = 512
    learning_rate: float = 3e-3
    patience: int = 50


def train(activations: Sequence[Any], sparsity: Sparsity, training: Training, seed: int = 0) -> Crosscoder:
    """A crosscoder of one or several models, whose activations [row, feature] are of the same tokens row by row."""
    standards = [Standard.of(values) for values in activations]
    data = [standard(values) for standard, values in zip(standards, activations, strict=True)]
    return _Trainee(data, sparsity, training, seed).trained(standards)


class _Trainee:
    """The parameters and their training; the decoders of the models start from different random directions."""

    def __init__(self, data: list[Tensor], sparsity: Sparsity, training: Training, seed: int) -> None:
        self.data, self.sparsity, self.training = data, sparsity, training
        self.generator = torch_generator(seed, "crosscoder", sparsity.name)
        self.decoders = [self._directions(values.shape[1]) for values in data]
        self.encoders = [(decoder.detach() / FIRST_NORM).requires_grad_() for decoder in self.decoders]
        self.biases = [torch.zeros(values.shape[1], requires_grad=True) for values in data]
        self.bias = torch.zeros(training.latents, requires_grad=True)
        self.idle = torch.zeros(training.latents)
        self.gates: list[float] = []

    def _directions(self, width: int) -> Tensor:
        drawn = torch.randn(self.training.latents, width, generator=self.generator)
        return (FIRST_NORM * drawn / drawn.norm(dim=1, keepdim=True)).requires_grad_()

    def trained(self, standards: list[Standard]) -> Crosscoder:
        parameters = [*self.encoders, *self.decoders, *self.biases, self.bias]
        optimiser = torch.optim.Adam(parameters, lr=self.training.learning_rate, betas=(0.9, 0.99), fused=True)
        for step in range(self.training.steps):
            progress = step / self.training.steps
            optimiser.param_groups[0]["lr"] = self.training.learning_rate * min(1.0, 3 * (1 - progress))
            optimiser.zero_grad()
            self.loss(self.batch(), progress).backward()
            optimiser.step()
        return self.crosscoder(standards)

    def batch(self) -> list[Tensor]:
        rows = torch.randint(len(self.data[0]), (self.training.rows,), generator=self.generator)
        return [values[rows] for values in self.data]

    def loss(self, batch: list[Tensor], progress: float) -> Tensor:
        codes = read(batch, self.encoders, self.bias)
        sizes = codes * sum(decoder.norm(dim=1) for decoder in self.decoders)
        gate = self.sparsity.gate(sizes)
        active = codes * (sizes > gate)
        self.note(active.detach(), gate)
        errors = [
            x - active @ decoder - bias for x, decoder, bias in zip(batch, self.decoders, self.biases, strict=True)
        ]
        return sum(map(mean_square, errors), self.sparsity.charge(sizes, progress) + self.revival(codes, errors))

    def note(self, active: Tensor, gate: float) -> None:
        self.gates.append(gate)
        self.idle = torch.where((active > 0).any(dim=0), 0.0, self.idle + 1)

    def revival(self, codes: Tensor, errors: list[Tensor]) -> Tensor:
        """Dead latents are to reconstruct what the living leave over."""
        dead = self.idle > self.training.patience
        if not dead.any():
            return torch.zeros(())
        left = [
            mean_square(error.detach() - codes[:, dead] @ decoder[dead])
            for error, decoder in zip(errors, self.decoders, strict=True)
        ]
        return SHARE_OF_DEAD * sum(left, torch.zeros(()))

    @torch.no_grad()
    def crosscoder(self, standards: list[Standard]) -> Crosscoder:
        sides = [
            Side(*parts)
            for parts in zip(
                standards,
                map(Tensor.detach, self.encoders),
                map(Tensor.detach, self.decoders),
                map(Tensor.detach, self.biases),
                strict=True,
            )
        ]
        last = self.gates[-max(1, len(self.gates) // 10) :]
        return Crosscoder(tuple(sides), self.bias.detach(), sum(last) / len(last))


def mean_square(errors: Float[Tensor, "row feature"]) -> Tensor:
    """Of standard activations: the share of variance that is missed."""
    return errors.square().sum(dim=1).mean()
