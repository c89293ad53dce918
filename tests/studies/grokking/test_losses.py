"""Restricted and excluded loss in the space of prompts, on logits whose losses are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from heldout.studies.grokking import ModularAddition
from heldout.studies.grokking.fourier import sum_waves
from heldout.studies.grokking.losses import excluded, prompt_losses, restricted

PRIME = 13
TASK = ModularAddition(PRIME, 0.5, 0)


def loss(logits: Tensor) -> float:
    return float(prompt_losses(logits, TASK.sums).mean())


def test_a_model_of_planted_waves_is_restricted_to_them_and_lost_without(
    planted_logits: Callable[..., Tensor],
) -> None:
    logits = planted_logits(PRIME, {2: 9.0, 5: 9.0})
    waves = sum_waves(PRIME, [2, 5])
    assert loss(restricted(logits, waves)) == pytest.approx(loss(logits))
    assert loss(logits) < 0.01
    assert loss(excluded(logits, waves)) == pytest.approx(math.log(PRIME))
    others = sum_waves(PRIME, [1, 3])
    assert loss(excluded(logits, others)) == pytest.approx(loss(logits))
    assert loss(restricted(logits, others)) == pytest.approx(math.log(PRIME))


def test_memory_of_single_pairs_is_not_restricted(planted_logits: Callable[..., Tensor]) -> None:
    """A lookup table spreads over all frequencies: taking two of six away costs it little."""
    table = 20.0 * torch.nn.functional.one_hot(TASK.sums, PRIME).double() * TASK.trained.unsqueeze(1)
    waves = sum_waves(PRIME, [2, 5])
    train = prompt_losses(excluded(table, waves), TASK.sums)[TASK.trained].mean()
    assert float(train) < 0.1 * math.log(PRIME)
    assert loss(table) > 1.0


def test_both_are_projections_of_the_logits_over_prompts() -> None:
    logits = torch.randn(PRIME**2, PRIME, generator=torch.Generator().manual_seed(0))
    waves = sum_waves(PRIME, [1, 4])
    design = waves.T.numpy()
    fitted = design @ np.linalg.lstsq(design, logits.double().numpy(), rcond=None)[0]
    np.testing.assert_allclose(excluded(logits, waves).numpy(), logits.double().numpy() - fitted, atol=1e-12)
    means = logits.double().mean(dim=0).numpy()
    np.testing.assert_allclose(restricted(logits, waves).numpy(), fitted + means, atol=1e-12)


def test_tiny_losses_are_not_rounded_away() -> None:
    logits = torch.zeros(1, 3)
    logits[0, 1] = 25.0
    assert float(prompt_losses(logits, torch.tensor([1]))) == pytest.approx(2 * math.exp(-25), rel=1e-6)
