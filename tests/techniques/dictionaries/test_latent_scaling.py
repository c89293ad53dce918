"""Latent scaling where every ratio is known: atoms at right angles, codes read exactly, decoders set by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from heldout.techniques.dictionaries import Crosscoder, LatentScaling
from heldout.techniques.dictionaries.side import Side, Standard

ROWS, WIDTH = 4000, 8
AXES = np.eye(WIDTH)


def codes_of(latents: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (generator.random((ROWS, latents)) < 0.2) * generator.uniform(0.5, 1.5, (ROWS, latents))


def side(encoder: np.ndarray, decoder: np.ndarray) -> Side:
    """In the activations' own units, without an offset."""
    width = decoder.shape[1]
    parts = (torch.tensor(values, dtype=torch.float32) for values in (encoder, decoder, np.zeros(width)))
    return Side(Standard(torch.zeros(width), 1.0), *parts)


def scaling(
    codes: np.ndarray, atoms_a: np.ndarray, atoms_b: np.ndarray, decoder_a: np.ndarray, decoder_b: np.ndarray
) -> LatentScaling:
    """Of models that have these atoms, under a crosscoder that has these decoders. Every latent reads its code exactly, in
    the model in which its atom is larger."""
    larger = np.linalg.norm(atoms_b, axis=1) > np.linalg.norm(atoms_a, axis=1)
    read_a, read_b = atoms_a * ~larger[:, None], atoms_b * larger[:, None]
    coder = Crosscoder((side(read_a, decoder_a), side(read_b, decoder_b)), torch.zeros(len(decoder_a)))
    data = codes @ atoms_a, codes @ atoms_b
    assert torch.allclose(coder.codes(data), torch.tensor(codes, dtype=torch.float32), atol=1e-5)
    return LatentScaling.of(coder, data)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 1.0])
def test_a_right_crosscoder_gives_the_part_that_is_there_by_every_way(part: float) -> None:
    atoms_a, atoms_b = AXES[:3].copy(), AXES[:3].copy()
    atoms_a[2] *= part
    found = scaling(codes_of(3), atoms_a, atoms_b, atoms_a, atoms_b)
    for ratios in (found.norm, found.error, found.reconstruction, found.counterpart):
        assert ratios == pytest.approx([1, 1, part], abs=0.03)


def test_complete_shrinkage_shows_in_the_error() -> None:
    """The latent is in A at 0.3, and its decoder there was pushed to nothing."""
    atoms_a, atoms_b = AXES[:3] * [[1], [1], [0.3]], AXES[:3]
    shrunk = atoms_a * [[1], [1], [0]]
    found = scaling(codes_of(3), atoms_a, atoms_b, shrunk, atoms_b)
    assert found.norm[2] == 0
    assert found.reconstruction[2] == pytest.approx(0, abs=0.03)
    assert found.error[2] == pytest.approx(0.3, abs=0.03)
    assert found.counterpart[2] == pytest.approx(0.3, abs=0.03)


def test_decoupling_shows_in_the_reconstruction() -> None:
    """One latent of both models, split into a latent that writes into A and one that writes into B."""
    codes = codes_of(2)
    twice = codes[:, [0, 1, 1]]
    decoder_a, decoder_b = AXES[[0, 1, 1]] * [[1], [1], [0]], AXES[[0, 1, 1]] * [[1], [0], [1]]
    coder = Crosscoder((side(AXES[[0, 1, 1]], decoder_a), side(np.zeros((3, WIDTH)), decoder_b)), torch.zeros(3))
    data = codes @ AXES[:2], codes @ AXES[:2]
    assert torch.allclose(coder.codes(data), torch.tensor(twice, dtype=torch.float32), atol=1e-5)
    found = LatentScaling.of(coder, data)
    assert found.norm == pytest.approx([1, 0, 0])
    assert found.error[1:] == pytest.approx([0, 0], abs=0.03)
    assert found.reconstruction[1:] == pytest.approx([1, 1], abs=0.03)
    assert found.counterpart[1:] == pytest.approx([1, 1], abs=0.03)


def test_a_shrunk_latent_with_another_direction_shows_in_the_counterpart_alone() -> None:
    atoms_a, atoms_b = AXES[:3].copy(), AXES[[0, 1, 3]]
    found = scaling(codes_of(3), 0.999 * atoms_a, atoms_b, atoms_a * [[1], [1], [0]], atoms_b)
    assert found.error[2] == pytest.approx(0, abs=0.03)
    assert found.reconstruction[2] == pytest.approx(0, abs=0.03)
    assert found.counterpart[2] == pytest.approx(1, abs=0.03)


def test_models_of_different_widths_have_the_counterpart_alone() -> None:
    atoms_a, atoms_b = np.eye(5)[:3] * [[0.4], [1], [0]], AXES[:3]
    found = scaling(codes_of(3), atoms_a, atoms_b, atoms_a * [[0], [1], [0]], atoms_b)
    assert np.isnan(found.error).all()
    assert np.isnan(found.reconstruction).all()
    assert found.counterpart == pytest.approx([0.4, 1, 0], abs=0.03)
    assert found.presence == pytest.approx([0.4, 1, 0], abs=0.03)


def test_an_exclusive_latent_that_goes_with_a_shared_one_is_still_exclusive() -> None:
    """Alone it would be said to have a part: the codes correlate. The regression on all codes holds the other fixed."""
    codes = codes_of(2)
    codes[:, 1] *= codes[:, 0] > 0
    assert np.corrcoef(codes.T)[0, 1] > 0.3
    atoms_a = AXES[:2] * [[1], [0]]
    found = scaling(codes, atoms_a, AXES[:2], atoms_a, AXES[:2])
    assert found.counterpart == pytest.approx([1, 0], abs=0.03)


def test_a_latent_that_is_never_active_has_no_ratio() -> None:
    codes = codes_of(3) * [1, 1, 0]
    found = scaling(codes, AXES[:3], AXES[:3], AXES[:3], AXES[:3])
    assert np.isnan([found.norm[2], found.error[2], found.reconstruction[2], found.counterpart[2]]).all()
