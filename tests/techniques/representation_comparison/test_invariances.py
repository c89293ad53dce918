"""What must make no difference to a measure, and what must."""

from __future__ import annotations

import numpy as np
import pytest

from heldout.techniques.representation_comparison import PWCCA, RSA, SVCCA, BiasedCKA, DebiasedCKA, OrthogonalProcrustes

N, D = 120, 8
LABELS = tuple(f"c{index % 8}" for index in range(N))
MEASURES = {
    "debiased": DebiasedCKA(),
    "biased": BiasedCKA(),
    "procrustes": OrthogonalProcrustes(),
    "procrustes with size": OrthogonalProcrustes(unit_norm=False),
    "svcca": SVCCA(),
    "all of cca": SVCCA(share=1.0),
    "pwcca": PWCCA(),
    "rsa": RSA(LABELS),
}
EVERYTHING = set(MEASURES)
ANISOTROPIC = np.diag(np.geomspace(30, 0.1, D))

CASES = [
    ("a rotation", lambda y, turn: y @ turn, EVERYTHING),
    ("a shift", lambda y, turn: y + np.arange(D), EVERYTHING),
    ("a scale", lambda y, turn: 7 * y, EVERYTHING - {"procrustes with size"}),
    ("features of their own scale", lambda y, turn: y @ turn @ ANISOTROPIC, {"all of cca"}),
]


def grouped(sides) -> tuple[np.ndarray, np.ndarray]:
    """Related sides in which conditions differ too."""
    x, y = sides.related(0, n=N, d=D)
    means = np.random.default_rng(1).normal(size=(8, D))
    return x + 2 * means[np.arange(N) % 8], y + 2 * means[np.arange(N) % 8]


@pytest.mark.parametrize(("change", "invariant"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
@pytest.mark.parametrize("name", MEASURES)
def test_what_makes_no_difference(sides, value_of, name: str, change, invariant: set[str]) -> None:
    measure = MEASURES[name]
    x, y = grouped(sides)
    changed = change(y, sides.rotation(2, D))
    before, after = value_of(measure, x, y), value_of(measure, x, changed)
    if name in invariant:
        assert after == pytest.approx(before, abs=1e-7)
    else:
        assert abs(after - before) > 0.02


@pytest.mark.parametrize("name", MEASURES)
def test_a_side_is_perfectly_like_itself(sides, value_of, name: str) -> None:
    x, _ = grouped(sides)
    measure = MEASURES[name]
    assert measure.similarity(value_of(measure, x, x)) == pytest.approx(1.0, abs=1e-9)


def test_distances_in_units_of_the_noise_do_not_mind_the_scale_of_features_in_the_long_run(sides, value_of) -> None:
    """The covariance within conditions is estimated, and shrunk the less the more items there are."""
    n = 4000
    means = np.random.default_rng(1).normal(size=(8, D))
    x = np.random.default_rng(2).normal(size=(n, D)) + means[np.arange(n) % 8]
    stretched = x @ sides.rotation(3, D) @ np.diag(np.geomspace(3, 0.3, D))
    assert value_of(RSA(tuple(f"c{index % 8}" for index in range(n))), x, stretched) > 0.99
    assert value_of(SVCCA(share=1.0), x, stretched) == pytest.approx(1.0)
    rows = slice(0, 400)
    assert value_of(DebiasedCKA(), x[rows], stretched[rows]) < 0.8


@pytest.mark.parametrize("name", MEASURES)
def test_the_order_of_the_items_matters(sides, value_of, name: str) -> None:
    x, _ = grouped(sides)
    measure = MEASURES[name]
    mixed = x[np.random.default_rng(4).permutation(N)]
    assert measure.similarity(value_of(measure, x, mixed)) < 0.5


def test_all_but_the_weighted_one_are_symmetric(sides, value_of) -> None:
    x, y = grouped(sides)
    for name, measure in MEASURES.items():
        same = value_of(measure, x, y) == pytest.approx(value_of(measure, y, x), abs=1e-9)
        assert same is (name != "pwcca"), name
