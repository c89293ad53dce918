"""What counts as found: how often it is found where there is nothing, and that it is found where there is something."""

from __future__ import annotations

import numpy as np
import pytest

from heldout.execution.result import Result
from heldout.statistics import holm
from heldout.studies.diff.judging import NO_REFERENCE, Question, away_from_references, beyond_references, judge

RUNS = 1500


@pytest.mark.parametrize("references", [2, 4, 8])
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_one_more_reference_is_beyond_the_others_as_often_as_the_level_says(references: int, level: float) -> None:
    generator = np.random.default_rng(references)
    drawn = generator.normal(0, 0.5, (RUNS, references + 1))
    sizes = np.exp(drawn)
    found = np.mean([beyond_references(row[0], row[1:].tolist()) <= level for row in sizes])
    signed = np.mean([away_from_references(row[0], row[1:].tolist()) <= level for row in drawn])
    error = 4 * (level * (1 - level) / RUNS) ** 0.5
    assert max(found, signed) < level + error
    if references > 2:  # two that are close by chance are taken to be further apart
        assert min(found, signed) > level - error


def test_a_large_change_is_beyond_references() -> None:
    references = [0.9, 1.0, 1.1, 1.05]
    assert beyond_references(10.0, references) < 1e-3
    assert beyond_references(0.1, references) > 0.99
    assert away_from_references(-5.0, references) < 1e-3


def test_no_change_is_never_found() -> None:
    assert beyond_references(0.0, [1e-9, 1e-9]) == 1.0
    assert away_from_references(0.0, [3.0, 3.1, 2.9]) == 1.0


def test_references_that_are_close_by_chance_are_not_taken_for_exact() -> None:
    assert beyond_references(1.1, [1.0, 1.0, 1.0]) > 0.05
    assert away_from_references(2.0, [0.0, 0.0, 0.0], closest=1.0) > 0.05


def test_what_a_reference_does_as_well_is_not_found() -> None:
    """Whatever a normal distribution says of the others: here it gives p < .06 to what lies between references."""
    assert beyond_references(1.1, [1.0, 1.0, 1.0, 1.0, 1.0, 1.1]) == 1.0
    assert away_from_references(1.1, [1.0, 1.0, 1.0, 1.0, 1.0, 1.1]) == 1.0
    assert away_from_references(-1.1, [1.0, 1.0, 1.0, 1.0, 1.0, 1.1]) < 0.01


def question(name: str, effect: float, references: tuple[float, ...]) -> Question:
    return Question(
        name, f"A change of {name}", f"{name} moved", Result("measuring", name, "units", effect, 10), references
    )


def test_questions_are_corrected_together() -> None:
    references = (1.0, 1.2, 0.9, 1.1)
    alone = judge([question("one", 2.2, references)])
    p_value = beyond_references(2.2, references)
    assert 0.001 < p_value < 0.01
    assert alone[0].found
    assert "if logarithms of fine-tunes like them are normal" in alone[0].statement
    assert "beyond all 4 references, rank p = 0.2" in alone[0].statement
    together = judge([question("one", 2.2, references), *(question(f"other {n}", 1.0, references) for n in range(9))])
    assert not any(claim.found for claim in together)


def test_without_references_nothing_is_found_and_it_says_why() -> None:
    (claim,) = judge([question("one", 100.0, (1.0,))])
    assert not claim.found
    assert claim.missing == NO_REFERENCE


def test_holm_is_never_below_the_largest_before() -> None:
    values = np.random.default_rng(0).uniform(size=20).tolist()
    corrected = holm(values)
    order = np.argsort(values)
    assert np.all(np.diff(np.array(corrected)[order]) >= 0)
    assert min(corrected) == pytest.approx(min(1.0, 20 * min(values)))
