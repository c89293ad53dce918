"""The estimator on landscapes whose coefficient is known: right within 5 %.

The budget is smaller than the benchmark's, which has every case: one factor of ten in nβ. The formula is written here from
the paper, case by case, and not taken from the package."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
import torch
from torch import nn

from heldout.errors import InputError
from heldout.techniques.learning_coefficient import LearningCoefficient, Sampling, module_landscape
from heldout.techniques.learning_coefficient.known import even_power, reduced_rank_regression, regular

N_BETAS = (100.0, 10**2.5, 1000.0)
CASES = {
    (5, 3, 5, 0): 6.5,
    (5, 3, 5, 2): 9.5,
    (5, 3, 5, 3): 10.5,
    (5, 4, 5, 1): 9.5,
    (4, 3, 8, 1): 8.5,
    (3, 8, 4, 2): 6.0,
}
TOLERANCE = 0.05


def aoyagi_watanabe(M: int, H: int, N: int, r: int) -> Fraction:
    """Main Theorem, cases 1 to 4 as the paper numbers them."""
    if N + r <= M + H and M + r <= N + H and H + r <= M + N:
        eightfold = -((H + r) ** 2) - M**2 - N**2 + 2 * (H + r) * M + 2 * (H + r) * N + 2 * M * N
        return Fraction(eightfold if (M + H + N + r) % 2 == 0 else eightfold + 1, 8)
    if N + r > M + H:
        return Fraction(H * M - H * r + N * r, 2)
    if M + r > N + H:
        return Fraction(H * N - H * r + M * r, 2)
    assert H + r > M + N
    return Fraction(M * N, 2)


def test_the_formula_gives_the_published_values() -> None:
    assert {sizes: float(aoyagi_watanabe(*sizes)) for sizes in CASES} == CASES


def test_the_coefficients_that_are_called_known_are_those_of_the_formula() -> None:
    for M, H, N in product(range(1, 7), repeat=3):
        for r in range(min(M, H, N) + 1):
            assert reduced_rank_regression(M, H, N, r).coefficient == aoyagi_watanabe(M, H, N, r)
    with pytest.raises(InputError, match="a rank from 0 to 3"):
        reduced_rank_regression(5, 3, 5, 4)


def test_w_star_is_a_true_parameter_and_its_loss_is_that_of_two_linear_layers() -> None:
    known = reduced_rank_regression(5, 3, 4, 2)
    assert known.landscape.loss_at_point == 0.0
    module = nn.Sequential(nn.Linear(5, 3, bias=False), nn.Linear(3, 4, bias=False)).double()
    truth = torch.zeros(4, 5, dtype=torch.float64)
    truth[0, 0] = truth[1, 1] = 1.0
    same = module_landscape(module, lambda call: (call(torch.eye(5, dtype=torch.float64)).T - truth).square().sum() / 2)
    for seed in range(3):
        point = torch.randn(27, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert torch.allclose(known.landscape.loss(point), same.loss(point))


@pytest.mark.parametrize("sizes", [(5, 3, 5, 0), (5, 3, 5, 3)], ids=["multiplicity 2", "multiplicity 1"])
def test_reduced_rank_regression_is_right(sizes: tuple[int, int, int, int]) -> None:
    estimate = LearningCoefficient(N_BETAS, seed=11).measure(reduced_rank_regression(*sizes).landscape)
    assert estimate.refused == ()
    assert estimate.value is not None
    assert estimate.interval is not None
    assert estimate.value == pytest.approx(CASES[sizes], rel=TOLERANCE)
    assert estimate.interval[0] < estimate.value < estimate.interval[1]


def test_a_regular_model_has_half_of_its_parameters() -> None:
    estimate = LearningCoefficient(N_BETAS).measure(regular(6).landscape)
    assert estimate.refused == ()
    assert estimate.value == pytest.approx(3.0, rel=TOLERANCE)


def test_a_fourth_power_has_a_quarter() -> None:
    """A small coefficient takes many draws: their relative error is 1 / √(λ n)."""
    n_betas = tuple(10.0**power for power in (3.0, 3.5, 4.0, 4.5, 5.0))
    estimate = LearningCoefficient(n_betas, sampling=Sampling(draws=600)).measure(even_power(2).landscape)
    assert estimate.refused == ()
    assert estimate.value == pytest.approx(0.25, rel=TOLERANCE)
