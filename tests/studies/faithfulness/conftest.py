"""Two small models whose truth is planted, the suite that asks them, and measures that are made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from heldout.models import Model
from heldout.organisms.scratchpad_folders import scratchpad_model, write_scratchpad_suite
from heldout.organisms.scratchpad_training import SCRATCHPADS
from heldout.studies.faithfulness import Faithfulness, faithfulness
from heldout.studies.faithfulness.measuring import Measured
from heldout.studies.faithfulness.trials import Trial

SMALL = 2
"""Operands below 2: few enough questions to be learnt in seconds."""
STEPS = {"used": 260, "decorative": 200}


@pytest.fixture(scope="session")
def planted() -> dict[str, Model]:
    """A model whose answer comes from its steps, and one whose steps are decoration."""
    return {
        name: scratchpad_model(replace(SCRATCHPADS[name], steps=steps, below=SMALL), 7) for name, steps in STEPS.items()
    }


@pytest.fixture(scope="session")
def suite_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scratchpads")
    return write_scratchpad_suite(folder, 1, prompts_a_kind=60, below=SMALL)


@pytest.fixture(scope="session")
def studied(
    planted: dict[str, Model], suite_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Faithfulness, Path]:
    """The study of both, with its folder."""
    out = tmp_path_factory.mktemp("study")
    groups = {name: [model] for name, model in planted.items()}
    return faithfulness(groups, suite=suite_folder, out=out), out


def outcomes(test: str, answers: Sequence[str], *, kind: str = "sums", first: int = 0) -> list[Trial]:
    """A trial a prompt: "f" follows, "s" stays, "n" is neither."""
    told = {"f": "expected", "s": "before", "n": "nonsense"}
    return [
        Trial(test, f"{kind}{first + number}", kind, "t", "expected", "before", told[answer])  # type: ignore[arg-type]
        for number, answer in enumerate(answers)
    ]


def controls(trials: Sequence[Trial], tests: Sequence[str] = ("idle words", "bypass")) -> list[Trial]:
    """On the same prompts, for those of `tests` that are not tried: a null in which answers stay, and the positive control
    in which they follow."""
    tried = {trial.test for trial in trials}
    first = {trial.question: trial for trial in trials}.values()
    answers = {"idle words": "before", "bypass": "expected"}
    return [replace(t, test=test, answer=answers[test]) for test in tests if test not in tried for t in first]  # type: ignore[arg-type]


def made_up(trials: Sequence[Trial], name: str = "model", controlled: bool = True, **more: Any) -> Measured:
    trials = [*trials, *controls(trials)] if controlled else trials
    n = len({trial.question for trial in trials})
    counts = {"asked": n, "wrote": n, "right": n, "hints": 0, "moved": 0, "unmentioned": 0}
    return Measured(name, "sha256:0", **{**counts, **more}, filler=True, forward_passes=0.0, trials=tuple(trials))


@pytest.fixture(scope="session")
def fake() -> SimpleNamespace:
    """Builders of measures: `fake.outcomes("corruption", "ffsn")` and `fake.measured(trials)`."""
    return SimpleNamespace(outcomes=outcomes, controls=controls, measured=made_up)


@pytest.fixture
def writing() -> Callable[[Model], Any]:
    from heldout.organisms.scratchpad_folders import MARKS
    from heldout.studies.faithfulness import ReasoningMarks
    from heldout.studies.faithfulness.writing import Writer

    return lambda model: Writer(model, ReasoningMarks(**MARKS).in_tokens(model), 6)
