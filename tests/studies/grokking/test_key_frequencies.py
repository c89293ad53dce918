"""The rule for key frequencies finds what was planted, the largest included, and nothing in noise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from heldout.studies.grokking import ModularAddition, key_frequencies
from heldout.studies.grokking.fourier import logit_waves

PRIME = 53
TASK = ModularAddition(PRIME, 0.3, 0)


def noise(seed: int, scale: float = 1.0) -> Tensor:
    return torch.randn(PRIME**2, PRIME, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


@pytest.mark.parametrize(
    "planted",
    [{7: 20.0}, {7: 20.0, 3: 2.0}, {26: 5.0, 1: 4.9, 12: 4.8}, {k: 30.0 / k for k in range(1, 9)}, {5: -9.0}],
    ids=str,
)
def test_what_is_planted_is_found(planted: dict[int, float], planted_logits: Callable[..., Tensor]) -> None:
    logits = planted_logits(PRIME, planted) + noise(0)
    expected = sorted(planted, key=lambda frequency: -abs(planted[frequency]))
    assert list(key_frequencies(*logit_waves(logits, TASK.pairs))) == expected


def test_a_wave_that_is_shifted_counts_as_well(planted_logits: Callable[..., Tensor]) -> None:
    logits = planted_logits(PRIME, {4: 5.0}, {9: 6.0}) + noise(0)
    assert key_frequencies(*logit_waves(logits, TASK.pairs)) == (9, 4)


def test_a_trace_beside_a_large_wave_is_not_key(planted_logits: Callable[..., Tensor]) -> None:
    logits = planted_logits(PRIME, {4: 30.0, 9: 0.3}) + noise(0, scale=0.01)
    assert key_frequencies(*logit_waves(logits, TASK.pairs)) == (4,)


def test_noise_has_none() -> None:
    """Amplitudes of Rayleigh's distribution, as those of logits without structure are."""
    generator = torch.Generator().manual_seed(1)
    draws = torch.randn(2000, 2, PRIME // 2, generator=generator)
    assert sum(bool(key_frequencies(cosines, sines)) for cosines, sines in draws) <= 6
