"""Transfer on readings that are made up: what is read and said on unverified prompts at each checkpoint."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from heldout.execution.result import Result
from heldout.studies.trajectory.departures import (
    DEPARTED,
    OF_DEPARTURES,
    OTHER_READINGS,
    RIGHT_READ,
    RIGHT_SAID,
    TRANSFERRED,
    chance_agreement,
)
from heldout.studies.trajectory.order import learnt
from heldout.studies.trajectory.transfer import transfers_of

PROMPTS, STEPS = 200, (0, 10, 20, 30)


@pytest.fixture
def answers() -> SimpleNamespace:
    """The right answer to each prompt, a lie, which is never right, and something that has nothing to do with either."""
    generator = np.random.default_rng(0)
    right, noise = generator.integers(0, 13, (2, PROMPTS))
    return SimpleNamespace(right=right, lie=(right + 2) % 13, noise=noise)


def transfers(
    made_up: SimpleNamespace, *cells: tuple[np.ndarray, np.ndarray] | None, right: np.ndarray | None = None
) -> list[Result | None]:
    """Of checkpoints at which something is read and something said; None where nothing was measured."""
    results = [
        []
        if cell is None
        else [
            made_up.result(
                DEPARTED,
                float(np.mean(cell[0] != cell[1])),
                role="unverified",
                settings={"cue": None, "read": cell[0].astype(str).tolist(), "said": cell[1].astype(str).tolist()},
            )
        ]
        for cell in cells
    ]
    return transfers_of(STEPS[: len(cells)], results, right)


def test_a_reading_that_goes_on_when_the_model_lies(made_up: SimpleNamespace, answers: SimpleNamespace) -> None:
    right, lie = answers.right, answers.lie
    found = transfers(made_up, (answers.noise, lie), (right, right), None, (right, lie))
    assert found[2] is None
    before, last = found[0], found[3]
    assert before is not None
    assert last is not None
    assert (last.quantity, last.effect, last.settings) == (TRANSFERRED, 1.0, {"reference": 10, OF_DEPARTURES: 1.0})
    assert last.nulls[0].mean == pytest.approx(1 / 13, abs=0.03)
    assert last.nulls[0].p_value is not None
    assert last.nulls[0].p_value < 1e-6
    assert before.effect < 0.2
    assert before.nulls[0].p_value is not None
    assert before.nulls[0].p_value > 0.01


def test_a_readout_that_fails_reads_neither(made_up: SimpleNamespace, answers: SimpleNamespace) -> None:
    """The model goes on to say what is right; what is read of it no longer is."""
    found = transfers(made_up, (answers.right, answers.right), (answers.noise, answers.right))
    assert found[1] is not None
    assert found[1].effect < 0.2
    assert found[1].settings[OF_DEPARTURES] == 0.0


def test_what_is_read_where_it_agrees_says_nothing_of_where_it_departs(
    made_up: SimpleNamespace, answers: SimpleNamespace
) -> None:
    """It transfers to 60 % of prompts, on which the model goes on to say it; on the rest nothing is read."""
    first = np.arange(PROMPTS) < 0.6 * PROMPTS
    found = transfers(
        made_up, (answers.right, answers.right), (np.where(first, answers.right, answers.noise), answers.right)
    )
    assert found[1] is not None
    assert found[1].effect > 0.6
    assert found[1].settings[OF_DEPARTURES] == 0.0


def test_a_run_that_never_says_what_is_read_has_no_reference(
    made_up: SimpleNamespace, answers: SimpleNamespace
) -> None:
    assert transfers(made_up, (answers.right, answers.lie), (answers.right, answers.lie)) == [None, None]


def test_one_answer_repeated_is_no_reference(made_up: SimpleNamespace, answers: SimpleNamespace) -> None:
    """Agreement by chance is agreement with other prompts as well."""
    same = np.zeros(PROMPTS, dtype=int)
    assert transfers(made_up, (same, same), (answers.right, answers.lie)) == [None, None]


def test_chance_is_that_of_readings_of_other_prompts() -> None:
    read, said = np.array(["1", "2", "2", "3"]), np.array(["1", "1", "2", "4"])
    pairs = [read[i] == said[j] for i in range(4) for j in range(4) if i != j]
    assert chance_agreement(read, said) == pytest.approx(np.mean(pairs))
    assert OTHER_READINGS == "readings of other prompts"


@pytest.mark.parametrize("answers_given", [2, 3, 4, 5])
def test_few_answers_that_agree_by_chance_are_no_reference(made_up: SimpleNamespace, answers_given: int) -> None:
    """A readout that fails reads an answer of each kind of prompt, and an ignorant model says one, at each checkpoint:
    prompt by prompt they would agree far beyond chance in every fifth run or so."""
    found = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        kinds = np.arange(PROMPTS) % answers_given
        read, said = (generator.integers(0, answers_given, (len(STEPS), answers_given)) for _ in range(2))
        cells = [(read[0][kinds], said[place][kinds]) for place in range(len(STEPS))]
        found += transfers(made_up, *cells)[0] is not None
    assert found <= 3


def test_an_answer_that_was_learnt_since_is_no_override(made_up: SimpleNamespace, answers: SimpleNamespace) -> None:
    """It first says a heuristic's answer, which goes on to be read, and then the right one."""
    known = np.where(np.arange(PROMPTS) % 2 == 0, answers.right.astype(str), "")
    cells = ((answers.lie, answers.lie), (answers.lie, answers.right))
    learning = transfers(made_up, *cells, right=known)[1]
    unknown = transfers(made_up, *cells)[1]
    overriding = transfers(made_up, (answers.right, answers.right), (answers.right, answers.lie), right=known)[1]
    assert learning is not None
    assert unknown is not None
    assert overriding is not None
    assert (learning.settings[RIGHT_READ], learning.settings[RIGHT_SAID]) == (0, PROMPTS // 2)
    assert (overriding.settings[RIGHT_READ], overriding.settings[RIGHT_SAID]) == (PROMPTS // 2, 0)
    assert [learnt(each) for each in (learning, unknown, overriding)] == [True, False, False]
