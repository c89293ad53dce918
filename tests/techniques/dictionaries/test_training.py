"""Training: how many latents are active, several runs at once, one model alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from heldout.techniques.dictionaries import L1, BatchTopK, Training, train
from heldout.techniques.dictionaries.training import train_together

SHORT = Training(latents=20, steps=40, rows=128)


def test_batch_top_k_keeps_the_largest_of_a_batch() -> None:
    sizes = torch.rand(3, 50, 10, generator=torch.Generator().manual_seed(0))
    gates = BatchTopK(2.0).gates(sizes)
    assert [(each > gate).sum().item() for each, gate in zip(sizes, gates, strict=True)] == [100, 100, 100]


def test_the_charge_of_l1_grows_with_every_size() -> None:
    sizes = torch.ones(2, 5, 4)
    assert float(L1(0.1).charge(sizes, 1.0)) == pytest.approx(2 * 0.1 * 4)
    assert float(L1(0.1).charge(sizes, 0.05)) == pytest.approx(0.1 * 4)
    assert float(BatchTopK().charge(sizes, 1.0)) == 0


@pytest.mark.parametrize("sparsity", [BatchTopK(2.0), L1(0.1)], ids=lambda each: each.name)
def test_a_run_among_others_is_the_run_alone(pair, sparsity) -> None:
    others = [(pair.a, pair.b), (pair.b, pair.a), (pair.a, pair.a)]
    together = train_together(others, sparsity, SHORT, [4, 5, 6])
    for data, seed, found in zip(others, (4, 5, 6), together, strict=True):
        alone = train(data, sparsity, SHORT, seed)
        assert torch.allclose(alone.norms, found.norms, atol=1e-4)


def test_of_new_rows_as_many_latents_are_active_as_were_asked_for(findings, pair) -> None:
    assert findings().latents.codes_a_row == pytest.approx(2.0, rel=0.15)


def test_one_model_alone_has_a_sparse_autoencoder_that_finds_its_atoms(pair) -> None:
    coder = train((pair.a,), BatchTopK(2.0), Training(latents=28, steps=700, rows=256))
    assert coder.explained((pair.a,))[0] > 0.85
    (side,) = coder.sides
    atoms = pair.atoms_a[np.linalg.norm(pair.atoms_a, axis=1) > 0.99]
    directions = side.decoder / side.decoder.norm(dim=1, keepdim=True)
    cosines = torch.tensor(atoms, dtype=torch.float32) @ directions.T
    best = cosines.max(dim=1).values
    assert float(best.median()) > 0.99
    assert float(best.min()) > 0.8


def test_a_crosscoder_reconstructs_in_the_units_of_standard_activations(pair) -> None:
    coder = train((pair.a, 100 * pair.b + 5), BatchTopK(2.0), SHORT)
    same = train((pair.a, pair.b), BatchTopK(2.0), SHORT)
    assert torch.allclose(coder.norms, same.norms, atol=1e-2)
    for values in coder.standardised((pair.a, 100 * pair.b + 5)):
        assert float(values.mean(dim=0).abs().max()) == pytest.approx(0, abs=1e-4)
        assert float(values.square().sum(dim=1).mean()) == pytest.approx(1, abs=1e-4)
