"""What is refused on landscapes that deserve it, what repeats, and what an estimate says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from heldout.errors import InputError
from heldout.execution.result import Result
from heldout.techniques.learning_coefficient import Estimate, Landscape, LearningCoefficient, Sampling
from heldout.techniques.learning_coefficient.known import regular

N_BETAS = (100.0, 300.0, 1000.0)
FEW = Sampling(chains=32, draws=120, warmup=40)
QUICK = LearningCoefficient(N_BETAS, sampling=FEW)


@cache
def of_a_regular_model() -> Estimate:
    return QUICK.measure(regular(4).landscape)


def landscape(loss: object, parameters: int) -> Landscape:
    return Landscape(loss, torch.zeros(parameters, dtype=torch.float64))  # type: ignore[arg-type]


def eight_of_28(w: Tensor) -> Tensor:
    """Twenty directions that the loss leaves free: λ = 4."""
    return w[:8].square().sum() / 2


def test_a_point_beside_the_minimum_is_refused() -> None:
    beside = landscape(lambda w: (w - 0.1).square().sum() / 2, 4)
    estimate = QUICK.measure(beside)
    assert estimate.value is None
    assert estimate.interval is None
    assert any(reason.startswith("w* is no minimum") for reason in estimate.refused)


def test_a_run_too_short_to_spread_is_refused() -> None:
    """Steps that the stiff directions allow do not get far in those that the loss leaves free."""
    flat = landscape(eight_of_28, 28)
    short = replace(QUICK, sampling=replace(FEW, largest_steps=3), localisation=0.1)
    estimate = short.measure(flat)
    assert estimate.value is None
    assert any("does not mix" in reason or "drifts" in reason for reason in estimate.refused)


def test_the_same_landscape_is_accepted_when_there_is_time() -> None:
    estimate = QUICK.measure(landscape(eight_of_28, 28))
    assert estimate.refused == ()
    assert estimate.value == pytest.approx(4.0, rel=0.05)


def test_chains_that_find_another_valley_at_different_times_are_refused() -> None:
    """A second minimum, as low, behind a barrier that few cross."""

    def two_valleys(w: Tensor) -> Tensor:
        return (w[0] * (w[0] - 1.0)).square() + w[1:].square().sum() / 2

    barrier = 1 / 16
    rarely = tuple(n / barrier for n in (7.0, 7.5, 8.0))
    estimate = LearningCoefficient(rarely, sampling=replace(FEW, length=0.3)).measure(landscape(two_valleys, 3))
    assert any("does not mix: R̂ of the distance" in reason or "too few draws" in reason for reason in estimate.refused)


def test_temperatures_at_which_the_prior_still_rules_are_no_plateau() -> None:
    """Curvatures from 10⁻⁴ to 1: at each temperature others are felt."""
    curvatures = torch.logspace(-4, 0, 40, dtype=torch.float64)
    estimate = QUICK.measure(landscape(lambda w: (curvatures * w.square()).sum() / 2, 40))
    assert estimate.value is None
    assert any(reason.startswith("does not plateau") for reason in estimate.refused)
    assert len(estimate.levels) == 4


def test_after_a_refused_level_the_dearer_ones_are_not_measured() -> None:
    estimate = QUICK.measure(landscape(lambda w: (w - 0.5).square().sum() / 2, 4))
    assert [level.n_beta for level in estimate.levels] == [100.0]


def test_the_order_and_repetition_of_temperatures_do_not_matter() -> None:
    known, hurried = regular(4), replace(QUICK, sampling=Sampling(chains=4, draws=20, warmup=10))
    mixed = replace(hurried, n_betas=(300.0, 1000.0, 100.0, 300.0))
    assert hurried.measure(known.landscape) == mixed.measure(known.landscape)
    assert hurried.measure(known.landscape) != replace(hurried, seed=1).measure(known.landscape)


def test_the_default_temperatures_end_at_watanabes() -> None:
    plain = regular(3).landscape
    counted = Landscape(plain.loss, plain.point, n=5000)
    estimate = LearningCoefficient(sampling=FEW).measure(counted)
    n_betas = [level.n_beta for level in estimate.levels]
    assert n_betas[-1] == pytest.approx(5000 / math.log(5000))
    assert n_betas[-2] / n_betas[0] == pytest.approx(100.0)


def test_an_estimate_says_itself_as_a_result_that_survives_the_disk() -> None:
    estimate = of_a_regular_model()
    result = estimate.result()
    assert (result.quantity, result.unit) == ("learning_coefficient", "half parameters")
    assert (result.effect, result.interval) == (estimate.value, estimate.interval)
    assert result.nulls[0].mean == 2.0
    assert len(result.settings["levels"]) == 4  # type: ignore[arg-type]
    assert Result.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False))) == result


def test_a_refusal_says_why_and_has_no_number() -> None:
    estimate = QUICK.measure(landscape(lambda w: (w - 0.5).square().sum() / 2, 4))
    result = estimate.result()
    assert (result.quantity, result.unit, result.interval) == ("refusal", "reasons", None)
    assert result.effect == len(estimate.refused)
    assert result.settings["refused"] == list(estimate.refused)
    assert Result.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False))) == result


def test_a_measurement_takes_no_more_gradients_than_it_says() -> None:
    settings = replace(QUICK, sampling=replace(FEW, largest_steps=5))
    estimate = settings.measure(regular(4).landscape)
    assert estimate.gradient_evaluations <= settings.most_gradient_evaluations()
    assert estimate.gradient_evaluations < of_a_regular_model().gradient_evaluations


def test_everything_wrong_with_the_settings_is_said_at_once() -> None:
    wrong = LearningCoefficient(localisation=0.0, sampling=Sampling(chains=1, draws=2, acceptance=1.0))
    with pytest.raises(InputError) as raised:
        wrong.measure(regular(4).landscape)
    assert [problem.found for problem in raised.value.problems] == [
        "localisation=0.0",
        "chains=1",
        "draws=2",
        "acceptance=1.0, length=0.5",
        "neither n_betas nor the number of observations",
    ]
    with pytest.raises(InputError, match="three or more different positive numbers"):
        LearningCoefficient((10.0, 10.0, 20.0)).measure(regular(4).landscape)
