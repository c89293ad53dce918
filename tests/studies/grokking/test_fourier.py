"""Fourier analysis: an orthonormal basis, and planted waves that are found where they were planted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from heldout.studies.grokking import ModularAddition
from heldout.studies.grokking.fourier import (
    component_powers,
    frequency_shares,
    logit_waves,
    neuron_shares,
    real_basis,
    sum_waves,
)

PRIME = 13


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("modulus", [5, 13, 53])
def test_the_basis_is_orthonormal_and_complete(modulus: int) -> None:
    basis = real_basis(modulus)
    torch.testing.assert_close(basis @ basis.T, torch.eye(modulus, dtype=torch.float64))
    torch.testing.assert_close(basis.T @ basis, torch.eye(modulus, dtype=torch.float64))


def test_powers_are_those_of_the_fast_fourier_transform() -> None:
    matrix = drawn(PRIME, 6)
    powers = component_powers(matrix)
    torch.testing.assert_close(powers.sum(), matrix.square().sum())
    spectrum = np.abs(np.fft.rfft(matrix.numpy(), axis=0)) ** 2 / PRIME
    expected = 2 * spectrum[1:].sum(axis=1) / spectrum_total(spectrum)
    np.testing.assert_allclose(frequency_shares(powers).numpy(), expected)


def spectrum_total(spectrum: np.ndarray) -> float:
    """Of all frequencies, those with a minus sign as well."""
    return float(spectrum[0].sum() + 2 * spectrum[1:].sum())


def test_waves_of_sums_are_orthonormal_functions_of_the_pairs() -> None:
    waves = sum_waves(PRIME, [2, 5])
    torch.testing.assert_close(waves @ waves.T, torch.eye(4, dtype=torch.float64))
    a, b = ModularAddition(PRIME, 0.5, 0).pairs.T
    expected = torch.cos(2 * torch.pi * 5 * (a + b).double() / PRIME)
    torch.testing.assert_close(waves[2], expected / expected.norm())


def test_planted_waves_are_read_off_the_logits(planted_logits: Callable[..., Tensor]) -> None:
    logits = planted_logits(PRIME, {2: 3.0, 5: -1.5}, {4: 0.5}) + 7.0 + drawn(1, PRIME) + drawn(PRIME**2, 1)
    cosines, sines = logit_waves(logits, ModularAddition(PRIME, 0.5, 0).pairs)
    expected = {2: 3.0, 5: -1.5}
    np.testing.assert_allclose(cosines.numpy(), [expected.get(k, 0.0) for k in range(1, 7)], atol=1e-12)
    np.testing.assert_allclose(sines.numpy(), [0.5 if k == 4 else 0.0 for k in range(1, 7)], atol=1e-12)


def test_a_neuron_of_one_frequency_has_all_its_variance_there() -> None:
    a, b = (number.double() * 2 * torch.pi / PRIME for number in ModularAddition(PRIME, 0.5, 0).pairs.T)
    one = 2.0 + torch.cos(3 * a) - torch.sin(3 * b) + torch.cos(3 * a) * torch.cos(3 * b)
    two = torch.cos(3 * a) + torch.cos(5 * b)
    mixed = torch.cos(3 * a) * torch.cos(5 * b)
    idle = torch.full_like(a, 4.0)
    shares = neuron_shares(torch.stack([one, two, mixed, idle], dim=1), PRIME)
    torch.testing.assert_close(shares[2, :3], torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64))
    torch.testing.assert_close(shares[4, :3], torch.tensor([0.0, 0.5, 0.0], dtype=torch.float64))
    assert shares[:, 3].abs().max() < 1e-12
