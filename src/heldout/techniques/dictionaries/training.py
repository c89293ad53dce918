"""From paired activations to crosscoders: Adam on batches of rows, with help for latents that have died.

Several crosscoders are trained side by side as one batched model; each draws from its own generator, so that it comes out
as it would alone, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from heldout.seeds import torch_generator
from heldout.shapes import Float
from heldout.techniques.dictionaries.crosscoder import Crosscoder
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
    (crosscoder,) = train_together([activations], sparsity, training, [seed])
    return crosscoder


def train_together(
    data: Sequence[Sequence[Any]], sparsity: Sparsity, training: Training, seeds: Sequence[int]
) -> tuple[Crosscoder, ...]:
    """One crosscoder for each of the data, which have the same models' widths, with its own seed."""
    standards = [[Standard.of(values) for values in activations] for activations in data]
    scaled = [
        [standard(values) for standard, values in zip(row, activations, strict=True)]
        for row, activations in zip(standards, data, strict=True)
    ]
    trainees = _Trainees(scaled, sparsity, training, seeds)
    trainees.train()
    return tuple(trainees.crosscoder(run, standards[run]) for run in range(len(data)))


class _Trainees:
    """The parameters of all runs [run, ...] and their training. Decoders of the models start from different directions."""

    def __init__(self, data: list[list[Tensor]], sparsity: Sparsity, training: Training, seeds: Sequence[int]) -> None:
        self.data, self.sparsity, self.training = data, sparsity, training
        self.generators = [torch_generator(seed, "crosscoder", sparsity.name) for seed in seeds]
        runs, latents = len(data), training.latents
        widths = [values.shape[1] for values in data[0]]
        self.decoders = [self._directions(width) for width in widths]
        self.encoders = [(decoder.detach() / FIRST_NORM).requires_grad_() for decoder in self.decoders]
        self.biases = [torch.zeros(runs, 1, width, requires_grad=True) for width in widths]
        self.bias = torch.zeros(runs, 1, latents, requires_grad=True)
        self.idle = torch.zeros(runs, latents)
        self.gates: list[Tensor] = []

    def _directions(self, width: int) -> Tensor:
        drawn = torch.stack([torch.randn(self.training.latents, width, generator=each) for each in self.generators])
        return (FIRST_NORM * drawn / drawn.norm(dim=2, keepdim=True)).requires_grad_()

    def train(self) -> None:
        parameters = [*self.encoders, *self.decoders, *self.biases, self.bias]
        optimiser = torch.optim.Adam(parameters, lr=self.training.learning_rate, betas=(0.9, 0.99), fused=True)
        for step in range(self.training.steps):
            progress = step / self.training.steps
            optimiser.param_groups[0]["lr"] = self.training.learning_rate * min(1.0, 3 * (1 - progress))
            optimiser.zero_grad()
            self.loss(self.batch(), progress).backward()
            optimiser.step()

    def batch(self) -> list[Tensor]:
        """Activations [run, row, feature] of each model."""
        count = self.training.rows
        rows = [
            torch.randint(len(run[0]), (count,), generator=each)
            for run, each in zip(self.data, self.generators, strict=True)
        ]
        return [
            torch.stack([run[side][chosen] for run, chosen in zip(self.data, rows, strict=True)])
            for side in range(len(self.decoders))
        ]

    def loss(self, batch: list[Tensor], progress: float) -> Tensor:
        """Summed over the runs, whose parameters are apart."""
        read = sum((x @ encoder.mT for x, encoder in zip(batch, self.encoders, strict=True)), self.bias)
        codes = torch.relu(read)
        norms = torch.stack([decoder.norm(dim=2) for decoder in self.decoders]).sum(dim=0)
        sizes = codes * norms[:, None]
        gates = self.sparsity.gates(sizes.detach())
        active = codes * (sizes > gates[:, None, None])
        self.note(active.detach(), gates)
        parts = zip(batch, self.decoders, self.biases, strict=True)
        errors = [x - active @ decoder - bias for x, decoder, bias in parts]
        return sum(map(mean_square, errors), self.sparsity.charge(sizes, progress) + self.revival(codes, errors))

    def note(self, active: Tensor, gates: Tensor) -> None:
        self.gates.append(gates)
        self.idle = torch.where((active > 0).any(dim=1), 0.0, self.idle + 1)

    def revival(self, codes: Tensor, errors: list[Tensor]) -> Tensor:
        """Dead latents are to reconstruct what the living leave over."""
        dead = self.idle > self.training.patience
        if not dead.any():
            return torch.zeros(())
        dormant = codes * dead[:, None]
        left = [error.detach() - dormant @ decoder for error, decoder in zip(errors, self.decoders, strict=True)]
        return SHARE_OF_DEAD * sum(map(mean_square, left), torch.zeros(()))

    @torch.no_grad()
    def crosscoder(self, run: int, standards: list[Standard]) -> Crosscoder:
        parts = zip(standards, self.encoders, self.decoders, self.biases, strict=True)
        sides = tuple(
            Side(standard, encoder[run].clone(), decoder[run].clone(), bias[run, 0].clone())
            for standard, encoder, decoder, bias in parts
        )
        last = torch.stack(self.gates[-max(1, len(self.gates) // 10) :])[:, run]
        return Crosscoder(sides, self.bias[run, 0].clone(), float(last.mean()))


def mean_square(errors: Float[Tensor, "run row feature"]) -> Tensor:
    """Of standard activations the share of variance that is missed, summed over the runs."""
    return errors.square().sum(dim=2).mean(dim=1).sum()
