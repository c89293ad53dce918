"""Concepts that are planted in one model, in both, in the words, or in none."""

from __future__ import annotations

import numpy as np
import pytest

from heldout.studies.compare.concepts import as_labels, concepts_of
from heldout.studies.compare.decoding import PERMUTED, UNTRAINED, WORDS

N, D = 240, 12
VALUES = np.random.default_rng(0).integers(0, 6, size=N)


def codes(seed: int) -> np.ndarray:
    """A vector for each value."""
    return np.random.default_rng(seed).normal(size=(6, D))


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N, D))


def held(study) -> dict[str, bool]:
    return {each.model: each.held for each in study.held}


def found(made_up, first: np.ndarray, second: np.ndarray, words: np.ndarray | None = None, twin=None):
    readings = [
        made_up.reading("A", {"resid_post.0": noise(1), "resid_post.1": first}, words),
        made_up.reading("B", {"resid_post.0": noise(2), "resid_post.1": second}, words),
        made_up.reading(
            made_up.twin, {"resid_post.0": noise(3), "resid_post.1": noise(4) if twin is None else twin}, words
        ),
    ]
    return made_up.study(readings, made_up.items(N, [{"value": int(value)} for value in VALUES]))


def test_a_concept_that_one_model_holds(made_up) -> None:
    study = found(made_up, 3 * codes(0)[VALUES] + noise(5), noise(6))
    assert held(study) == {"A": True, "B": False}
    first, second = study.held
    assert first.site == "resid_post.1"
    assert first.accuracy > 0.9
    assert second.interval[0] < 1 / 6 < second.interval[1], "chance"
    assert {null.name for null in first.nulls} == {PERMUTED, UNTRAINED, WORDS}
    from heldout.studies.compare.drawing import drawings
    from heldout.studies.compare.page import report_page

    assert "value: held by A; not shown in B." in report_page(study, drawings(study))


def test_what_an_untrained_model_gives_as_well_is_not_held(made_up) -> None:
    strong = 3 * codes(0)[VALUES] + noise(5)
    study = found(made_up, strong, strong, twin=3 * codes(7)[VALUES] + noise(8))
    assert held(study) == {"A": False, "B": False}
    assert all(each.accuracy > 0.9 for each in study.held)


def test_what_stands_in_the_words_is_not_held(made_up) -> None:
    strong = 3 * codes(0)[VALUES] + noise(5)
    words = np.stack([VALUES + 10, np.full(N, 9)], axis=1)
    assert held(found(made_up, strong, strong, words)) == {"A": False, "B": False}
    assert held(found(made_up, strong, strong)) == {"A": True, "B": True}


def test_permuted_labels_are_found_nowhere(made_up) -> None:
    shuffled = np.random.default_rng(11).permutation(VALUES)
    study = found(made_up, 3 * codes(0)[shuffled] + noise(5), 3 * codes(0)[shuffled] + noise(6))
    assert held(study) == {"A": False, "B": False}


def test_the_geometry_of_a_concept(made_up) -> None:
    """Models that place the values alike, up to a rotation; and models that place them anyhow."""
    turn = np.linalg.qr(np.random.default_rng(12).normal(size=(D, D)))[0]
    first, second = 4 * codes(0)[VALUES] + noise(5), (4 * codes(0)[VALUES] + noise(6)) @ turn
    (same,) = found(made_up, first, second).geometries
    (other,) = found(made_up, first, 4 * codes(20)[VALUES] + noise(7)).geometries
    assert (same.quantity, same.settings["concept"], same.settings["rows"]) == ("rsa", "value", 6)
    assert same.effect > 0.8 > other.effect
    assert same.nulls[0].p_value <= 0.05


def test_a_concept_that_goes_with_the_template_is_tested_within_it(made_up) -> None:
    """Each value has a template of its own: held out by templates, no test label could have been fitted."""
    from dataclasses import replace

    strong = 3 * codes(0)[VALUES] + noise(5)
    prompts = made_up.items(N, [{"value": int(value)} for value in VALUES])
    samples = tuple(
        replace(each, template=f"t{value}") for each, value in zip(prompts.samples, VALUES.tolist(), strict=True)
    )
    readings = [made_up.reading(label, {"resid_post.0": strong}) for label in ("A", "B")]
    readings.append(made_up.reading(made_up.twin, {"resid_post.0": noise(9)}))
    study = made_up.study(readings, replace(prompts, samples=samples))
    assert all(each.accuracy > 0.9 for each in study.held)


def test_labels() -> None:
    assert as_labels([1, 2, None, "x", True]) == ["1", "2", None, "x", "True"]
    assert as_labels([[1], {"a": 1}]) == [None, None]
    many = as_labels([*range(100), None])
    assert many[-1] is None
    assert [many.count(f"fifth {place}") for place in range(1, 6)] == [20] * 5
    assert (many[0], many[99]) == ("fifth 1", "fifth 5")


def test_what_cannot_be_compared_is_said(made_up) -> None:
    latents = [{"same": 1, "rare": index} if index < 12 else {"same": 1, "list": [1]} for index in range(N)]
    concepts, skipped = concepts_of(made_up.items(N, latents))
    assert concepts == []
    assert {each.name: each.reason for each in skipped} == {
        "right answer": "0 values that at least 5 prompts have; two are needed",
        "same": "1 values that at least 5 prompts have; two are needed",
        "rare": "0 values that at least 5 prompts have; two are needed",
        "list": "0 values that at least 5 prompts have; two are needed",
    }
    few, reasons = concepts_of(made_up.items(20, [{"bit": index % 2} for index in range(20)]))
    assert few == []
    assert reasons[-1].reason == "20 prompts have it; 40 are needed"


def test_the_right_answer_is_a_concept(made_up) -> None:
    prompts = made_up.items(N, [{}] * N, targets=[str(value) for value in VALUES])
    ((concept,), _) = concepts_of(prompts)
    assert concept.name == "right answer"
    assert concept.labels == tuple(str(value) for value in VALUES)


@pytest.mark.parametrize("n", [0, 12])
def test_a_text_has_no_concepts(made_up, n: int) -> None:
    assert concepts_of(made_up.items(n)) == ([], [])
