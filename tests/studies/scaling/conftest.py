"""Models of three sizes and two seeds that were trained for moments, and readings in which a law is planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from heldout.models import CheckpointWriter
from heldout.organisms.families import RECIPES
from heldout.organisms.folders import make_suite, word_tokenizer
from heldout.organisms.planting import Planter
from heldout.studies.scaling import QUANTITIES, MeasuredModel, Reading

RECIPE = RECIPES["quirky_arithmetic-s0-c1"]
WIDTHS, SEEDS, STEPS = (4, 8, 16), (1, 2), 60
SIZES = (600, 2_400, 9_600, 38_400, 153_600)

Laws = Mapping[str, Callable[[float], float]]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`seed-1`, `seed-2` and `suite` in a folder."""
    place = tmp_path_factory.mktemp("sizes")
    for seed in SEEDS:
        writer = CheckpointWriter(place / f"seed-{seed}", axis="size")
        for width in WIDTHS:
            planter = Planter(RECIPE.with_width(width).with_seed(seed), honest_attempts=1, lengths={"honest": STEPS})
            tokenizer = word_tokenizer(planter.format)
            writer.save(f"width-{width:02d}", planter.honest.model, tokenizer=tokenizer)
    make_suite(RECIPE, Planter(RECIPE).format).to_folder(place / "suite")
    return place


@pytest.fixture
def planted() -> Callable[..., list[MeasuredModel]]:
    """Models whose readings follow laws by quantity, with errors of seeds; a quantity without a law is refused."""

    def planted(laws: Laws, noise: float = 0.03, seeds: int = 4, seed: int = 0) -> list[MeasuredModel]:
        generator = np.random.default_rng(seed)

        def reading(quantity: str, size: int) -> Reading:
            if quantity not in laws:
                return Reading(quantity, None, ("does not plateau: nβ changes it",))  # type: ignore[arg-type]
            value = laws[quantity](size) * np.exp(noise * generator.standard_normal())
            return Reading(quantity, float(value), null=1.0)  # type: ignore[arg-type]

        return [
            MeasuredModel(
                f"seed-{number}", f"size-{size}", f"sha256:{number}{size}", size, size + 100,
                tuple(reading(quantity, size) for quantity in QUANTITIES),
            )
            for number in range(seeds)
            for size in SIZES
        ]  # fmt: skip

    return planted
