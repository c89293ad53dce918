"""Spectra of changes whose rank and size are known."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from heldout.models import Model
from heldout.studies.diff.pairing import paired
from heldout.studies.diff.weight_deltas import component_deltas, effective_rank, random_spectra, spectra, top_share

DOWN = "model.layers.1.mlp.down_proj.weight"


def changed(base: Model, name: str, delta: torch.Tensor) -> Model:
    module = copy.deepcopy(base.module)
    dict(module.named_parameters())[name].data += delta
    return Model(module, base.tokenizer, name="changed")


def shape_of(base: Model, name: str) -> torch.Size:
    return dict(base.module.named_parameters())[name].shape


def test_a_change_of_rank_one_is_one_direction(base: Model) -> None:
    rows, columns = shape_of(base, DOWN)
    generator = torch.Generator().manual_seed(0)
    delta = torch.outer(torch.randn(rows, generator=generator), torch.randn(columns, generator=generator))
    (found,) = spectra(paired(base, changed(base, DOWN, delta), ["the"]), seed=0)
    assert (found.parameter, found.component) == (DOWN, "MLP 1")
    assert found.effective_rank == pytest.approx(1.0, abs=1e-3)
    assert found.top_share == pytest.approx(1.0, abs=1e-6)
    assert found.random_share.maximum < 0.5
    assert found.random_share.p_value == pytest.approx(1 / 20)


def test_a_random_change_is_like_random_changes(base: Model) -> None:
    """Of 40 random changes about one in twenty is more concentrated than all of 19 others."""
    shape = tuple(shape_of(base, DOWN))
    shares, ranks = random_spectra((shape[0], shape[1]), 0)
    generator = np.random.default_rng(1)
    drawn = [np.linalg.svd(generator.normal(size=shape), compute_uv=False) for _ in range(40)]
    assert sum(top_share(values) > shares.max() for values in drawn) <= 6
    assert np.mean([effective_rank(values) for values in drawn]) == pytest.approx(ranks.mean(), rel=0.01)


def test_sizes_are_relative_to_what_was_there(base: Model) -> None:
    weights = dict(base.module.named_parameters())[DOWN].data
    pairing = paired(base, changed(base, DOWN, weights), ["the"])
    (found,) = spectra(pairing, seed=0)
    assert found.relative_norm == pytest.approx(1.0, rel=1e-5)
    moved = {delta.component: delta.norm for delta in component_deltas(pairing)}
    assert moved.pop("MLP 1") == pytest.approx(float(weights.norm()), rel=1e-5)
    assert set(moved.values()) == {0.0}


def test_components_hold_every_parameter_once(base: Model) -> None:
    deltas = component_deltas(paired(base, base, ["the"]))
    assert sum(delta.parameters for delta in deltas) == base.n_parameters
    assert [delta.component for delta in deltas] == [
        "embedding", "attention 0", "MLP 0", "attention 1", "MLP 1", "attention 2", "MLP 2", "unembedding",
    ]  # fmt: skip
