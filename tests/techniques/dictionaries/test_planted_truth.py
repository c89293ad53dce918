"""Two models whose dictionaries are known: what is in one alone is found, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from heldout.seeds import numpy_generator
from heldout.techniques.dictionaries import L1, NullRuns


def kinds_of(findings, pair, name: str) -> list[str]:
    atoms, _ = pair.matches(findings.crosscoder.codes((pair.a, pair.b)))
    return [pair.kinds[atoms[latent]] for latent in findings.of_class(name)]


def test_the_planted_models_are_what_they_are_said_to_be(pair, dictionary) -> None:
    a, b = np.linalg.norm(pair.atoms_a, axis=1), np.linalg.norm(pair.atoms_b, axis=1)
    cosines = (pair.atoms_a * pair.atoms_b).sum(axis=1)
    for kind, one, other, cosine in zip(pair.kinds, a, b, cosines, strict=True):
        assert max(one, other) == pytest.approx(1)
        if kind.startswith("only"):
            assert min(one, other) == 0
        elif kind.startswith("weak"):
            assert 0.1 <= min(one, other) <= 0.5
            assert cosine == pytest.approx(one * other)
        else:
            assert one == pytest.approx(other)
            assert (cosine < 0.9) == (kind == "rotated")
    assert pair.a - pair.codes @ pair.atoms_a == pytest.approx(0, abs=6 * dictionary.noise)


def test_exclusive_latents_are_found_on_their_side_and_no_other_is_called_exclusive(findings, pair) -> None:
    for side in ("only A", "only B"):
        kinds = kinds_of(findings(), pair, side)
        assert len(kinds) >= 2
        assert set(kinds) == {side}


def test_by_norms_alone_weak_latents_pass_for_exclusive(findings, pair) -> None:
    """The signal that latent scaling has to remove is there."""
    found = findings()
    atoms, _ = pair.matches(found.crosscoder.codes((pair.a, pair.b)))
    one_sided = np.flatnonzero(found.latents.scaling.one_sided & found.latents.measured)
    assert any(pair.kinds[atoms[latent]].startswith("weak") for latent in one_sided)


def test_latents_with_another_direction_are_shared(findings, pair) -> None:
    kinds = kinds_of(findings(), pair, "shared")
    assert kinds.count("rotated") >= 2
    assert kinds.count("shared") >= 8
    assert not {"only A", "only B"} & set(kinds)


def test_norms_are_those_that_were_planted(findings, pair) -> None:
    found = findings()
    atoms, correlations = pair.matches(found.crosscoder.codes((pair.a, pair.b)))
    sizes = np.linalg.norm(pair.atoms_a, axis=1), np.linalg.norm(pair.atoms_b, axis=1)
    well_read = [latent for latent in np.flatnonzero(correlations > 0.9) if found.latents.measured[latent]]
    assert len(well_read) >= 15
    for latent in well_read:
        a, b = (side[atoms[latent]] for side in sizes)
        assert found.latents.relative_norms[latent] == pytest.approx(0.5 * (1 + (b - a) / max(a, b)), abs=0.06)


def test_most_of_the_variance_is_explained(findings, dictionary) -> None:
    assert all(share > 0.85 for share in findings().latents.explained)


def test_a_model_beside_itself_has_nothing_exclusive(findings) -> None:
    assert findings().calibration.exclusive_in_identical == (0, 0)


@pytest.mark.parametrize("sparsity", [None, L1(0.1)], ids=["batch_top_k", "l1"])
def test_models_that_differ_in_noise_alone_have_nothing_exclusive(pair, dictionary, quick, sparsity) -> None:
    noise = dictionary.noise * numpy_generator(7, "other noise").standard_normal(pair.a.shape)
    comparison = replace(quick, sparsity=sparsity or quick.sparsity, nulls=NullRuns(1, 0))
    found = comparison.compare(pair.a, pair.codes @ pair.atoms_a + noise)
    assert found.counts["only A"] == found.counts["only B"] == 0
    assert found.counts["shared"] >= 15


def test_unrelated_models_share_nothing(pair, quick) -> None:
    order = numpy_generator(3, "rows").permutation(len(pair.b))
    found = replace(quick, nulls=NullRuns(1, 0)).compare(pair.a, pair.b[order])
    assert found.counts["only A"] + found.counts["only B"] >= 10
    assert found.counts["shared"] <= 2


def test_the_same_seed_gives_the_same_findings_and_leaves_other_randomness_alone(pair, quick) -> None:
    short = replace(quick, training=replace(quick.training, steps=30), nulls=NullRuns(1, 1))
    state = torch.get_rng_state()
    one, other = (short.compare(pair.a, pair.b) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.crosscoder.norms, other.crosscoder.norms)
    assert one.classes == other.classes
    different = replace(short, seed=2).compare(pair.a, pair.b)
    assert not torch.equal(one.crosscoder.norms, different.crosscoder.norms)
