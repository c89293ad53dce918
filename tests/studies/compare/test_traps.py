"""The two traps of alignment, planted in models: the report has to flag them, and the page to say so."""

from __future__ import annotations

import re

import numpy as np
import pytest

from heldout.studies.compare.alignment import BIASED_OUTLIERS
from heldout.studies.compare.drawing import drawings
from heldout.studies.compare.page import report_page
from heldout.techniques.representation_comparison.robustness import CHANCE, FIRST_COMPONENT, OUTLIERS

N, D = 200, 32


def unrelated(seed: int, n: int = N, d: int = D) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(size=(3, n, d)))


def with_outliers(count: int) -> list[np.ndarray]:
    """The first prompts are far out in the same direction in every model."""
    sides = unrelated(count)
    for side in sides:
        side[:count] = 0.0
        side[:count, 0] = 1000.0
    return sides


def with_shared_dimension() -> list[np.ndarray]:
    sides = unrelated(0)
    for side in sides[:2]:
        side[:, 0] = 100 * np.random.default_rng(9).normal(size=N) if side is sides[0] else sides[0][:, 0]
    return sides


def found(made_up, sides: list[np.ndarray]):
    labels = ("A", "B", made_up.twin)
    readings = [made_up.reading(label, {"resid_post.0": side}) for label, side in zip(labels, sides, strict=True)]
    return made_up.study(readings, made_up.items(len(sides[0])))


def between(study, model: str = "A", other: str = "B"):
    (cell,) = [cell for cell in study.cells if (cell.model, cell.other) == (model, other)]
    return cell


def words(study) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", report_page(study, drawings(study))).replace("\u00a0", " ").split())


def test_one_shared_outlier_deceives_the_biased_measure(made_up) -> None:
    study = found(made_up, with_outliers(1))
    cell = between(study)
    assert cell.biased > 0.99
    assert abs(cell.debiased) < 5 / np.sqrt(N)
    assert BIASED_OUTLIERS in cell.flags
    assert 0 in cell.outliers
    assert cell.biased_without_outliers == pytest.approx(D / (D + N), abs=0.03)
    page = words(study)
    assert "Some values do not mean what they seem to." in page
    assert "the biased estimate, which is often quoted, changes by more than half" in page


def test_two_shared_outliers_deceive_both(made_up) -> None:
    study = found(made_up, with_outliers(2))
    cell = between(study)
    assert cell.debiased > 0.99
    assert OUTLIERS in cell.flags
    assert abs(cell.without_outliers) < 5 * np.sqrt(2) / N
    assert study.likeness("A", "B").flagged == 1
    page = words(study)
    assert "1 of the 1 values is flagged: see below before quoting it" in page
    assert "when the prompts that are far out are left out" in page
    measures = {result.quantity: result.settings["flags"] for result in study.measures}
    assert OUTLIERS in measures["debiased_cka"]
    assert OUTLIERS in measures["procrustes_distance"]


def test_one_dominant_shared_dimension(made_up) -> None:
    study = found(made_up, with_shared_dimension())
    cell = between(study)
    assert cell.debiased > 0.99
    assert FIRST_COMPONENT in cell.flags
    assert abs(cell.without_first_component) < 5 * np.sqrt(2) / N
    assert between(study, "A", made_up.twin).debiased < 0.1
    page = words(study)
    assert "one dimension decides it" in page
    assert "Some values do not mean what they seem to." in page
    assert report_page(study, drawings(study)).count("<polygon") >= 3, "both maps have a corner, and the keys"


def test_too_few_prompts_for_the_dimensions(made_up) -> None:
    """Biased CKA of unrelated sides is d / (d + n), and that is what the table says it is by chance."""
    study = found(made_up, unrelated(3, n=60, d=1000))
    cell = between(study)
    assert cell.biased == pytest.approx(1000 / 1060, abs=0.02)
    assert cell.biased_chance == pytest.approx(1000 / 1060, abs=0.02)
    assert abs(cell.debiased) < 5 * np.sqrt(2) / 60
    flags = {result.quantity: result.settings["flags"] for result in study.measures}
    assert flags["biased_cka"] == flags["svcca"] == [CHANCE]


def test_what_is_broadly_alike_is_not_flagged(made_up) -> None:
    first, _, third = unrelated(4)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(D, D)))[0]
    study = found(made_up, [first, 3 * first @ turn + 0.3 * third, third[::-1].copy()])
    assert between(study).debiased > 0.9
    assert between(study).flags == ()
    assert "No value between different models is flagged." in words(study)
