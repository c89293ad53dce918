"""Laws that are planted in readings are found, and nothing else; what is refused has no exponent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from heldout.studies.scaling import MeasuredModel, ScalingStudy
from heldout.studies.scaling.claims import claims_of
from heldout.studies.scaling.exponents import corrected

Planted = Callable[..., list[MeasuredModel]]


def study_of(models: list[MeasuredModel]) -> ScalingStudy:
    return ScalingStudy.of(models, {}, seed=0)


def test_planted_powers_are_found_within_their_intervals(planted: Planted) -> None:
    study = study_of(planted({"loss": lambda n: 9.0 * n**-0.3, "circuit_size": lambda n: 0.5 * n**0.4}))
    for quantity, truth in (("loss", -0.3), ("circuit_size", 0.4)):
        exponent = study.exponent(quantity)  # type: ignore[arg-type]
        assert exponent.form == "power"
        assert exponent.found
        assert exponent.interval is not None
        assert exponent.interval[0] <= truth <= exponent.interval[1]
        assert exponent.law is not None
        assert exponent.law.exponent == pytest.approx(truth, abs=0.03)


def test_a_planted_offset_is_told_from_a_power(planted: Planted) -> None:
    study = study_of(planted({"loss": lambda n: 60.0 * n**-0.5 + 1.0}, noise=0.01))
    plain, bent = (each for each in study.exponents if each.quantity == "loss")
    assert plain.law is None
    assert study.exponent("loss") is bent
    assert bent.law is not None
    assert (bent.law.exponent, bent.law.offset) == pytest.approx((-0.5, 1.0), rel=0.1)


def test_what_knows_nothing_of_size_is_not_found(planted: Planted) -> None:
    study = study_of(planted({"path_length": lambda n: 3.0}))
    assert not study.exponent("path_length").found
    claims = {claim.id: claim for claim in claims_of(study)}
    assert not claims["path_length-power"].found
    assert "was not found by a power law" in claims["path_length-power"].statement


def test_a_quantity_that_every_model_refuses_has_no_exponent(planted: Planted) -> None:
    study = study_of(planted({"loss": lambda n: n**-0.3}))
    exponent = study.exponent("learning_coefficient")
    assert exponent.law is None
    assert exponent.refused == ("too few sizes: 0 have a value above 0 for two seeds or more, 3 are needed",)
    assert len(study.refusals("learning_coefficient")) == len(study.models)


@pytest.mark.parametrize(("seeds", "form_needs"), [(1, {"power": 3, "power_and_offset": 4})])
def test_one_seed_is_no_exponent(planted: Planted, seeds: int, form_needs: dict[str, int]) -> None:
    study = study_of(planted({"loss": lambda n: n**-0.3}, seeds=seeds))
    for exponent in study.exponents:
        assert exponent.law is None
        assert f"{form_needs[exponent.form]} are needed" in exponent.refused[0]
    assert study.band("loss")[0].interval is None


def test_the_mean_over_seeds_is_a_geometric_one(planted: Planted) -> None:
    study = study_of(planted({"loss": lambda n: n**-0.3}, noise=0.0))
    for point in study.band("loss"):
        assert point.mean == pytest.approx(point.x**-0.3)


def test_p_values_are_corrected_over_all_eight_exponents(planted: Planted) -> None:
    laws: dict[str, Callable[[float], float]] = {"loss": lambda n: n**-0.3, "path_length": lambda n: 3.0}
    exponents = study_of(planted(laws)).exponents
    alone = [each.fitted.null.p_value or 1.0 if each.fitted else 1.0 for each in exponents]
    assert [each.p_value for each in exponents] == [
        None if each.fitted is None else p for each, p in zip(exponents, by_hand(alone), strict=True)
    ]


def by_hand(p_values: Sequence[float]) -> list[float]:
    """Holm's rule, as he states it: the k-th smallest of m is held against α / (m + 1 − k), and none after a failure."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    steps = [min(1.0, p_values[place] * (len(p_values) - k)) for k, place in enumerate(order)]
    return [max(steps[: order.index(place) + 1]) for place in range(len(p_values))]


@pytest.mark.parametrize(("alone", "found"), [(0.03, False), (0.004, True)])
def test_what_would_be_found_alone_is_not_found_among_eight(planted: Planted, alone: float, found: bool) -> None:
    """Eight tests at .05 each find something in one of three studies in which nothing knows of size."""
    study = study_of(planted({"loss": lambda n: n**-0.3}))
    plain = study.exponents[0]
    assert plain.fitted is not None
    weak = replace(plain.fitted, null=replace(plain.fitted.null, p_value=alone))
    others = [replace(each, fitted=None) for each in study.exponents[1:]]
    (first, *_) = corrected([replace(plain, fitted=weak), *others])
    assert first.p_value == pytest.approx(8 * alone)
    assert first.found is found
