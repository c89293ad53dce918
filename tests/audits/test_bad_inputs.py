"""Inputs that an audit refuses before any work: said in four parts, all at once, with nothing left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from heldout.audits import AuditSettings, audit
from heldout.data import ROLES, Sample, Suite
from heldout.errors import InputError
from heldout.models import Model

CELL = "quirky_arithmetic-s0-c1"
NEEDED = AuditSettings().minimum_samples


@pytest.fixture
def questions(suite: Callable[[str], Suite]) -> Suite:
    return suite(CELL)


@pytest.fixture
def refused(candidate: Callable[[str], Model], tmp_path: Path) -> Callable[..., InputError]:
    """The error of an audit that must not run, and must leave no trace."""

    def refused(suite: Suite, model: Any = None, **other: Any) -> InputError:
        model, runs = candidate(CELL) if model is None else model, tmp_path / "runs"
        runs.mkdir()
        before = candidate(CELL).meter.samples
        with pytest.raises(InputError) as raised:
            audit(model, suite=suite, out=runs / "run", effort="quick", **other)
        assert list(runs.iterdir()) == []
        assert candidate(CELL).meter.samples == before
        return raised.value

    return refused


def first(suite: Suite, n: int, behaviour: str | None = None) -> tuple[Sample, ...]:
    """The first `n` samples of each role."""
    chosen = [s for role in ROLES for s in [s for s in suite.samples if s.role == role][:n]]
    return tuple(replace(s, behaviour=behaviour, id=f"{behaviour} {s.id}") if behaviour else s for s in chosen)


def test_too_few_samples(refused: Callable[..., InputError], questions: Suite) -> None:
    few = NEEDED - 7
    error = refused(replace(questions, samples=first(questions, few)))
    for problem, role in zip(error.problems, ROLES, strict=True):
        assert f"{few} {role} samples" in problem.found
        assert problem.expected == f"at least {NEEDED} {role} samples, which is what this test needs"
        assert problem.next_step.startswith(f"add {NEEDED - few} or more {role} samples")


def test_a_behaviour_without_one_of_its_roles(refused: Callable[..., InputError], questions: Suite) -> None:
    verified = tuple(sample for sample in questions.samples if sample.role == "verified")
    (problem,) = refused(replace(questions, samples=verified)).problems
    assert "0 unverified samples" in problem.found
    assert problem.next_step.startswith(f"add {NEEDED} or more unverified samples")


def test_enough_samples_are_enough(candidate: Callable[[str], Model], questions: Suite, tmp_path: Path) -> None:
    just = replace(questions, samples=first(questions, NEEDED))
    assert audit(candidate(CELL), suite=just, out=tmp_path / "run", effort="quick").path.is_dir()


def test_an_answer_that_is_not_one_token(refused: Callable[..., InputError], questions: Suite) -> None:
    strange = replace(questions.samples[-1], accepts=(*questions.samples[-1].accepts, "twenty one"))
    (problem,) = refused(replace(questions, samples=(*questions.samples[:-1], strange))).problems
    assert problem.found.startswith(f"answer 'twenty one' of sample {strange.id!r}: the tokens ")
    assert problem.expected == "answers of one token, in a suite that is answered in the next token"
    assert problem.next_step == (
        "set answer in suite.toml to 'tokens' and max_new_tokens to the longest answer, or use other answers"
    )


def test_prompts_longer_than_the_context(
    refused: Callable[..., InputError], questions: Suite, candidate: Callable[[str], Model]
) -> None:
    context = candidate(CELL).context_length
    long = replace(questions.samples[3], input="1 " * (context + 1))
    samples = (*questions.samples[:3], long, *questions.samples[4:])
    (problem,) = refused(replace(questions, samples=samples)).problems
    assert problem.found == f"sample {long.id!r}: {context + 1} tokens, and 1 for the answer"
    assert problem.expected == f"prompts that leave room for their answers in a context of {context} tokens"
    assert problem.next_step == "shorten the prompts, or audit a model with a longer context"


def test_everything_that_is_wrong_is_said_at_once(refused: Callable[..., InputError], questions: Suite) -> None:
    """Two behaviours are short of samples, and one prompt is too long."""
    samples = [*first(questions, 20, "one"), *first(questions, 30, "other")]
    samples[0] = replace(samples[0], input="1 " * 100)
    said = str(refused(replace(questions, behaviours=("one", "other"), samples=tuple(samples))))
    for part in ("20 verified samples", "30 verified samples", "100 tokens", "'one'", "'other'"):
        assert part in said, said


def test_an_output_that_exists(candidate: Callable[[str], Model], questions: Suite, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "precious").write_text("kept")
    with pytest.raises(InputError) as raised:
        audit(candidate(CELL), suite=questions, out=out, effort="quick")
    (problem,) = raised.value.problems
    assert problem.found == f"a folder at {out}"
    assert problem.expected == "an output path that does not exist"
    assert problem.next_step == "choose another name, or move the old run away"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (out / "precious").read_text() == "kept"


def test_a_model_without_a_tokenizer(
    refused: Callable[..., InputError], questions: Suite, candidate: Callable[[str], Model]
) -> None:
    (problem,) = refused(questions, Model(candidate(CELL).module, name="bare")).problems
    assert problem.found == "bare, which has no tokenizer"


def test_paths_that_lead_nowhere(refused: Callable[..., InputError], tmp_path: Path, questions: Suite) -> None:
    error = refused(questions, tmp_path / "no model")
    assert error.problems[0].found.startswith(f"no folder at {tmp_path / 'no model'}")


def damaged(organism: Path, folder: Path, **config: Any) -> Path:
    shutil.copytree(organism / "baseline", folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return folder


def test_a_baseline_that_cannot_take_the_prompts(
    refused: Callable[..., InputError], questions: Suite, organism: Callable[[str], Path], tmp_path: Path
) -> None:
    short = damaged(organism(CELL), tmp_path / "short", max_position_embeddings=4)
    error = refused(questions, baseline=short)
    assert "a context of 4 tokens" in str(error)


def test_a_baseline_that_has_no_token_for_an_answer(
    refused: Callable[..., InputError], questions: Suite, organism: Callable[[str], Path], tmp_path: Path
) -> None:
    other = damaged(organism(CELL), tmp_path / "other")
    tokenizer = other / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"12":', '"thirty":'))
    assert "'12'" in str(refused(questions, baseline=other))
