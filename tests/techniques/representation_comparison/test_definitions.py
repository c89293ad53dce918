"""Each measure against its definition, computed naively or by another library."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes, subspace_angles
from scipy.stats import spearmanr
from sklearn.covariance import ledoit_wolf

from heldout.techniques.representation_comparison import (
    PWCCA,
    RSA,
    SVCCA,
    BiasedCKA,
    DebiasedCKA,
    OrthogonalProcrustes,
    PrincipalComponents,
    crossnobis,
)


def centred(x: np.ndarray) -> np.ndarray:
    return x - x.mean(axis=0)


def hsic_of_distinct_items(k: np.ndarray, l_: np.ndarray) -> float:
    """The U-statistic itself: the mean over all different i, j, q, r (Song et al. 2012, equation 3)."""
    terms = [
        k[i, j] * l_[i, j] + k[i, j] * l_[q, r] - 2 * k[i, j] * l_[i, q]
        for i, j, q, r in permutations(range(len(k)), 4)
    ]
    return float(np.mean(terms))


def test_debiased_cka_is_a_ratio_of_u_statistics(sides, value_of) -> None:
    x, y = sides.related(0, n=9, d=3)
    k, l_ = x @ x.T, y @ y.T
    across, own = hsic_of_distinct_items(k, l_), hsic_of_distinct_items(k, k) * hsic_of_distinct_items(l_, l_)
    assert value_of(DebiasedCKA(), x, y) == pytest.approx(across / np.sqrt(own), rel=1e-9)


def test_biased_cka_is_that_of_kornblith(sides, value_of) -> None:
    x, y = sides.related(1)
    a, b = centred(x), centred(y)
    wanted = np.linalg.norm(a.T @ b) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))
    assert value_of(BiasedCKA(), x, y) == pytest.approx(wanted, rel=1e-9)


def test_procrustes_is_what_the_best_rotation_leaves(sides, value_of) -> None:
    x, y = sides.related(2)
    a, b = (centred(side) / np.linalg.norm(centred(side)) for side in (x, y))
    best, _ = orthogonal_procrustes(b, a)
    assert value_of(OrthogonalProcrustes(), x, y) == pytest.approx(np.linalg.norm(a - b @ best) ** 2, rel=1e-9)
    a, b = centred(x), centred(y)
    best, _ = orthogonal_procrustes(b, a)
    squares = np.linalg.norm(a) ** 2 + np.linalg.norm(b) ** 2
    wanted = 2 * np.linalg.norm(a - b @ best) ** 2 / squares
    assert value_of(OrthogonalProcrustes(unit_norm=False), x, y) == pytest.approx(wanted, rel=1e-9)


def test_svcca_is_the_mean_cosine_between_subspaces(sides, value_of) -> None:
    x, y = sides.related(3)
    kept = [PrincipalComponents.of(side).explaining(0.9).scores for side in (x, y)]
    assert {side.shape[1] for side in kept} != {8}, "some components are left out"
    wanted = np.cos(subspace_angles(*kept)).mean()
    assert value_of(SVCCA(share=0.9), x, y) == pytest.approx(wanted, abs=1e-9)


def test_pwcca_weighs_by_the_first_sides_features(sides, value_of) -> None:
    """Canonical variates from the covariances, as a textbook has them."""
    x, y = sides.related(4)
    a, b = centred(x), centred(y)

    def root(values: np.ndarray) -> np.ndarray:
        size, vectors = np.linalg.eigh(values.T @ values)
        return vectors @ np.diag(size**-0.5) @ vectors.T

    directions, correlations, _ = np.linalg.svd(root(a) @ (a.T @ b) @ root(b))
    variates = a @ root(a) @ directions
    weights = [sum(abs(variate @ feature) for feature in a.T) for variate in variates.T]
    wanted = np.dot(weights, correlations) / np.sum(weights)
    assert value_of(PWCCA(share=1.0), x, y) == pytest.approx(wanted, rel=1e-9)


def labelled(seed: int, conditions: int = 6, repetitions: int = 5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.repeat([f"c{index}" for index in range(conditions)], repetitions)
    means = generator.normal(size=(conditions, 4))
    return np.repeat(means, repetitions, axis=0) + 0.5 * generator.normal(size=(len(labels), 4)), labels


def test_crossnobis_never_multiplies_an_item_with_itself() -> None:
    """The mean over every way to take one item of each condition twice, without taking the same item twice."""
    x, labels = labelled(5)
    names = np.unique(labels)
    groups = [np.flatnonzero(labels == name) for name in names]
    residuals = x - np.stack([x[labels == label].mean(axis=0) for label in labels])
    precision = np.linalg.inv(ledoit_wolf(residuals, assume_centered=True)[0])
    found = crossnobis(x, labels)
    for i, first in enumerate(groups):
        for j, second in enumerate(groups):
            terms = [
                (x[a] - x[c]) @ precision @ (x[b] - x[d])
                for a, b in permutations(first, 2)
                for c, d in permutations(second, 2)
            ]
            assert found[i, j] == pytest.approx(0.0 if i == j else np.mean(terms), abs=1e-9)


def test_crossnobis_is_zero_on_average_where_nothing_differs() -> None:
    """Plain distances between means are not: their mean is 2 × 4 dimensions / 5 repetitions, in units of the noise."""
    upper = np.triu_indices(6, 1)
    draws = [np.random.default_rng(seed).normal(size=(30, 4)) for seed in range(60)]
    labels = labelled(0)[1]
    found = np.array([crossnobis(draw, labels)[upper].mean() for draw in draws])
    plain = np.array([draw.reshape(6, 5, 4).mean(axis=1) for draw in draws])
    biased = np.mean([(means[:, None] - means[None]) ** 2 for means in plain]) * 4 * 36 / 30
    assert abs(found.mean()) < 4 * found.std(ddof=1) / np.sqrt(len(found))
    assert biased == pytest.approx(8 / 5, rel=0.15)


def test_rsa_is_the_rank_correlation_of_the_distances(value_of) -> None:
    x, labels = labelled(6)
    y, _ = labelled(7)
    upper = np.triu_indices(6, 1)
    wanted = spearmanr(crossnobis(x, labels)[upper], crossnobis(y, labels)[upper]).statistic
    assert value_of(RSA(tuple(labels)), x, y) == pytest.approx(wanted, abs=1e-9)


def test_components_keep_what_is_between_items(sides) -> None:
    for shape in ((30, 8), (12, 40)):
        x = np.random.default_rng(8).normal(size=shape)
        components = PrincipalComponents.of(x)
        assert np.allclose(components.scores @ components.axes, centred(x))
        rows = np.array([5, 1, 9, 3])
        assert np.allclose(components.of_items(rows).scores @ components.of_items(rows).axes, centred(x[rows]))
        assert components.of_items(rows).items.tolist() == rows.tolist()
    assert PrincipalComponents.of(np.ones((5, 3))).constant
    assert PrincipalComponents.of(1e6 + 1e-3 * np.random.default_rng(0).normal(size=(5, 3))).constant, "float32 noise"
