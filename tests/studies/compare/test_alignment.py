"""The matrices: each cell is what the technique says, and its null what permuted prompts give."""

from __future__ import annotations

import numpy as np
import pytest

from heldout.errors import InputError
from heldout.models import Site
from heldout.studies.compare.alignment import equal_depth, pair_values, permuted_values, prepare
from heldout.techniques.representation_comparison import BiasedCKA, DebiasedCKA, PrincipalComponents
from heldout.techniques.representation_comparison.comparison import row_orders

N = 60


def layers(seed: int, n: int = N) -> dict[str, np.ndarray]:
    """Three layers, of which each adds to the one before."""
    steps = np.random.default_rng(seed).normal(size=(3, n, 6))
    return {f"resid_post.{layer}": steps[: layer + 1].sum(axis=0) for layer in range(3)}


def value(measure, x: np.ndarray, y: np.ndarray) -> float:
    one, other = (measure.side(PrincipalComponents.of(side.astype(np.float32))) for side in (x, y))
    return measure.value(one, other)


def test_every_cell_is_that_of_the_technique(made_up) -> None:
    first, second = layers(0), layers(1)
    study = made_up.study(
        [made_up.reading("A", first), made_up.reading("B", second), made_up.reading(made_up.twin, layers(2))],
        made_up.items(N),
    )
    cells = {(cell.site, cell.other_site): cell for cell in study.cells if (cell.model, cell.other) == ("A", "B")}
    assert len(cells) == 9
    for (site, there), cell in cells.items():
        assert cell.debiased == pytest.approx(value(DebiasedCKA(), first[site], second[there]), abs=1e-6)
        orders = row_orders(N, 300, 1)
        permuted = [
            value(BiasedCKA(), first[site], second[there][order]) for order in orders[:: 1 if site == there else 30]
        ]
        assert cell.biased_chance == pytest.approx(np.mean(permuted), abs=5 * np.std(permuted) / np.sqrt(len(permuted)))
        assert cell.biased == pytest.approx(value(BiasedCKA(), first[site], second[there]), abs=1e-6)


def test_draws_permute_the_prompts_of_one_side_alike_at_every_site(made_up) -> None:
    first, second = layers(3), layers(4)
    sides = prepare([made_up.reading("A", first), made_up.reading("B", second)])
    draws = permuted_values(sides, [("A", "A"), ("A", "B")], 20, 7)
    assert draws["A", "A"].shape == (20, 3, 3)
    for draw, order in list(zip(draws["A", "B"], row_orders(N, 20, 7), strict=True))[::7]:
        naive = [[value(DebiasedCKA(), x, y[order]) for y in second.values()] for x in first.values()]
        assert np.allclose(draw, naive, atol=1e-6)


def test_identical_models_are_one_and_inside_no_null(made_up) -> None:
    same = layers(5)
    study = made_up.study(
        [made_up.reading("A", same), made_up.reading("B", same), made_up.reading(made_up.twin, layers(6))],
        made_up.items(N),
    )
    found = study.likeness("A", "B")
    assert (found.value, found.p_value) == (pytest.approx(1.0), 1 / 40)
    diagonal = [cell for cell in study.cells if (cell.model, cell.other, cell.site) == ("A", "B", cell.other_site)]
    assert [cell.debiased for cell in diagonal] == [pytest.approx(1.0)] * 3
    assert all(cell.p_value == 1 / 40 for cell in diagonal)
    twin = study.likeness("A", made_up.twin)
    assert abs(twin.value) < 0.15
    assert {result.nulls[0].p_value for result in study.measures} == {1 / 40}


def test_p_values_are_corrected_over_the_cells_of_a_pair(made_up) -> None:
    """Of 30 unrelated pairs with nine cells each, about one in twenty has any cell below 0.05, and not one in three."""
    smallest = []
    for seed in range(30):
        readings = [made_up.reading(label, layers(100 + 3 * seed + place)) for place, label in enumerate("AB")]
        sides = prepare(readings)
        values = pair_values(sides["A"], sides["B"])
        largest = permuted_values(sides, [("A", "B")], 39, seed)["A", "B"].reshape(39, -1).max(axis=1)
        smallest.append((np.count_nonzero(largest >= values.max()) + 1) / 40)
    assert sum(p <= 0.05 for p in smallest) <= 6


def test_equal_depth() -> None:
    def sites(name: str, *numbers: int) -> list[Site]:
        return [Site(name, number) for number in numbers]

    assert equal_depth(sites("resid_post", 0, 1), sites("resid_post", 1, 0)) == [
        (Site("resid_post", layer), Site("resid_post", layer)) for layer in (0, 1)
    ]
    found = equal_depth(sites("resid_post", 0, 1, 2), sites("resid_post", 0, 1, 2, 3, 4))
    assert [there.layer for _, there in found] == [0, 2, 4]
    mixed = equal_depth(
        [*sites("mlp_out", 0, 1), *sites("resid_post", 0)], [*sites("resid_post", 3), *sites("mlp_out", 5, 6)]
    )
    assert [(str(one), str(other)) for one, other in mixed] == [
        ("mlp_out.0", "mlp_out.5"),
        ("mlp_out.1", "mlp_out.6"),
        ("resid_post.0", "resid_post.3"),
    ]


def test_sites_without_differences_are_left_out_and_said(made_up) -> None:
    values = {"resid_pre.0": np.ones((N, 4)), **layers(8)}
    readings = [made_up.reading(label, values) for label in ("A", "B", made_up.twin)]
    study = made_up.study(readings, made_up.items(N))
    assert not any("resid_pre.0" in (cell.site, cell.other_site) for cell in study.cells)
    from heldout.studies.compare.drawing import drawings
    from heldout.studies.compare.page import report_page

    assert "model A, resid_pre.0: all prompts are the same there." in report_page(study, drawings(study))
    with pytest.raises(InputError, match="all sites of model A"):
        prepare([made_up.reading("A", {"resid_pre.0": np.ones((N, 4))})])
