"""Gaussian noise on the weights: it can take away what holds a capability back, and seldom adds one.

Source: Tice et al. 2024, Noise injection reveals hidden capabilities of sandbagging language models, arXiv 2412.01784.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from heldout.evals.battery.copies import copied, copy_bytes, memory_obstacle
from heldout.evals.battery.elicitation import Asked
from heldout.evals.battery.subject import BatterySubject
from heldout.models import Model
from heldout.seeds import torch_generator

SIZES = (0.1, 0.3, 0.03, 0.2, 0.5)
"""Relative to the standard deviation of each matrix's own entries."""
SEEDS = 5


@dataclass(frozen=True)
class NoiseSweep:
    """Every size at the first seed, then at the next ones."""

    name: str = "weight noise"

    def obstacle(self, subject: BatterySubject) -> str | None:
        return memory_obstacle(copy_bytes(subject.model), subject.settings.memory_bytes)

    def settings(self, subject: BatterySubject) -> Sequence[str]:
        return [f"noise of {size} standard deviations, seed {seed}" for seed in range(SEEDS) for size in SIZES]

    def preparation_cost(self, setting: str) -> float:
        return 0.0

    def prepared(self, subject: BatterySubject, model: Model, setting: str) -> Asked:
        place = list(self.settings(subject)).index(setting)
        noisy = noised(model, SIZES[place % len(SIZES)], subject.settings.seed, place // len(SIZES))
        return lambda prompts: subject.answering(noisy, prompts.tokens)


def noised(model: Model, size: float, seed: int, draw: int) -> Model:
    """A copy with `size` times each matrix's standard deviation of noise in it; vectors (norms, biases) stay."""
    twin = copied(model)
    generator = torch_generator(seed, "battery noise", draw, size)
    with torch.no_grad():
        for parameter in twin.module.parameters():
            if parameter.ndim >= 2:
                noise = torch.randn(parameter.shape, generator=generator).to(parameter)
                parameter.add_(size * parameter.float().std().to(parameter) * noise)
    return twin
