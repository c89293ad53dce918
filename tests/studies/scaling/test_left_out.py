"""Values that have no logarithm: they are counted and named, and where they would bend a law there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from heldout.studies.scaling import MeasuredModel, Reading, ScalingStudy
from heldout.studies.scaling.claims import claims_of
from heldout.studies.scaling.drawing import drawings
from heldout.studies.scaling.page import answer
from heldout.studies.scaling.positive import positive_values
from heldout.techniques.scaling.power_law import fit

Planted = Callable[..., list[MeasuredModel]]


def with_loss(model: MeasuredModel, value: float) -> MeasuredModel:
    others = [reading for reading in model.readings if reading.quantity != "loss"]
    return replace(model, readings=(Reading("loss", value, null=1.0), *others))


def without_values_at(models: list[MeasuredModel], places: dict[int, int], value: float = 0.0) -> list[MeasuredModel]:
    """Of the models of size number `n`, the first `places[n]` have this loss."""
    sizes = sorted({model.size for model in models})
    count = {sizes[place]: number for place, number in places.items()}
    changed: list[MeasuredModel] = []
    for model in models:
        count[model.size] = count.get(model.size, 0) - 1
        changed.append(with_loss(model, value) if count[model.size] >= 0 else model)
    return changed


@pytest.fixture
def models(planted: Planted) -> list[MeasuredModel]:
    """Twenty: five sizes of four seeds."""
    return planted({"loss": lambda n: 9.0 * n**-0.3})


@pytest.mark.parametrize("value", [0.0, -0.25])
def test_one_is_left_out_and_named_wherever_the_law_is_told(models: list[MeasuredModel], value: float) -> None:
    study = ScalingStudy.of(without_values_at(models, {1: 1}, value), {}, seed=0)
    exponent = study.exponent("loss")
    assert exponent.law is not None
    assert exponent.law.exponent == pytest.approx(-0.3, abs=0.03)
    assert exponent.left_out == (f"seed-0, size-2400: {value:.3g}",)
    assert exponent.fitted is not None
    assert exponent.fitted.models == 19
    claim = next(claim for claim in claims_of(study) if claim.id == "loss-power")
    assert claim.found
    for said in (claim.statement, answer(study, "loss")):
        assert "Left out, as not above 0: seed" in said
    assert exponent.to_json()["left_out"] == list(exponent.left_out)


@pytest.mark.parametrize("places", [{1: 2}, {0: 1, 1: 1, 2: 1}])
def test_several_or_two_of_one_size_refuse_the_law(models: list[MeasuredModel], places: dict[int, int]) -> None:
    study = ScalingStudy.of(without_values_at(models, places), {}, seed=0)
    for exponent in study.exponents[:2]:
        assert exponent.quantity == "loss"
        assert exponent.law is None
        assert not exponent.found
        assert exponent.refused[0].startswith("values not above 0")
        assert len(exponent.left_out) == sum(places.values())


def test_half_of_a_size_is_too_much(planted: Planted) -> None:
    two_seeds = planted({"loss": lambda n: n**-0.3}, seeds=2)
    found = positive_values(without_values_at(two_seeds, {3: 1}), "loss")
    assert found.bends == ("values not above 0 at one size: most at 38400 parameters",)


def test_without_the_refusal_a_law_would_be_bent() -> None:
    """Of eight seeds 1, 2, 4 and 8 have the value 1, the others 0: the mean doubles with the size, what is above 0 does
    not change at all."""
    sizes, ones = (100, 200, 400, 800), (1, 2, 4, 8)
    values = {size: [1.0] * count + [0.0] * (8 - count) for size, count in zip(sizes, ones, strict=True)}
    sums = np.array([sum(each) for each in values.values()])
    assert fit("power", np.array(sizes, float), sums).exponent == pytest.approx(1.0)
    above = [(float(size), value) for size, each in values.items() for value in each if value > 0.0]
    assert fit("power", *np.array(above).T).exponent == pytest.approx(0.0)
    models = [
        with_loss(MeasuredModel(f"seed-{seed}", f"size-{size}", "sha256:0", size, size, ()), value)
        for size, each in values.items()
        for seed, value in enumerate(each)
    ]
    assert positive_values(models, "loss").bends == (
        "values not above 0: 17 of 32 models, and a law of the others would be too high",
        "values not above 0 at one size: most at 100, 200, 400 parameters",
    )


def test_nulls_without_a_logarithm_are_counted_under_the_panel(models: list[MeasuredModel]) -> None:
    size = models[0].size
    at_zero = [replace(reading, null=0.0) for reading in models[0].readings]
    study = ScalingStudy.of([replace(models[0], readings=tuple(at_zero)), *models[1:]], {}, seed=0)
    assert size not in {point.x for point in study.nulls("loss")}
    assert len(study.nulls("loss")) == len(study.sizes) - 1
    (drawing,) = drawings(study)
    assert "null not above 0 in 1" in str(drawing.content)
