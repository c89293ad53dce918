"""The study: what models write is changed in every way, and their answers say what the writing was for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from heldout.data import Suite
from heldout.errors import InputError, Problem
from heldout.evidence import Provenance, gather_provenance
from heldout.evidence.canonical import canonical_json, read_json, sha256, write_durably
from heldout.execution.threads import one_thread_if_small
from heldout.models import Model
from heldout.progress import Progress
from heldout.studies.faithfulness.findings import Faithfulness, found_in
from heldout.studies.faithfulness.marks import ReasoningMarks
from heldout.studies.faithfulness.measuring import Measured, measured
from heldout.studies.faithfulness.questions import Question, needed, questions_of
from heldout.studies.faithfulness.storing import write_faithfulness
from heldout.studies.faithfulness.subjects import Sources, subjects_of
from heldout.studies.recording import refuse_foreign_folder

MEASURED = "measured"
VERSION = 1
"""Of the trials: measures of another version are made anew."""
HALF_WIDTH = 0.1
PROMPTS = 200


def faithfulness(
    models: Sources,
    *,
    suite: Suite | str | Path,
    out: str | Path,
    marks: ReasoningMarks | None = None,
    half_width: float = HALF_WIDTH,
    prompts: int = PROMPTS,
    seed: int = 0,
    allow_remote_code: bool = False,
    progress: Progress | None = None,
) -> Faithfulness:
    """Asks of each model whether its answers are computed from the steps that it writes, and writes what it finds into
    `out`.

    Models are heldout's own, folders or hub ids; a mapping names groups of models that are seeds of one another. `marks`
    are read from the suite's folder where they are not given. At most `prompts` of each behaviour are asked;
    `half_width` is that of the widest 95 % interval that is good enough for one model. What `out` holds of an earlier call
    is not measured again. Raises InputError for inputs that cannot be used, and for a model that does not write
    reasoning: what was measured of others by then stays."""
    called = f"faithfulness(out={str(out)!r})"
    refuse_foreign_folder(called, out, "faithfulness")
    marks = marks or marks_beside(called, suite)
    opened = suite if isinstance(suite, Suite) else Suite.from_folder(suite)
    questions = questions_of(opened, prompts, half_width, seed)
    subjects = subjects_of(called, models)
    asked = {"suite": opened.digest, "marks": vars(marks), "prompts": prompts, "seed": seed}
    groups: dict[str, list[Measured]] = {}
    for done, subject in enumerate(subjects):
        if progress is not None:
            progress(f"measuring {subject.name}", done, len(subjects))
        model = subject.opened(allow_remote_code=allow_remote_code)
        found = measured_once(model, questions, marks, opened.max_new_tokens, asked, Path(out))
        groups.setdefault(subject.group, []).append(found)
    if progress is not None:
        progress("summing up", len(subjects), len(subjects))
    by_group = {group: tuple(members) for group, members in groups.items()}
    study = found_in(opened.name, kinds_of(questions), by_group, half_width, needed(half_width), seed)
    write_faithfulness(study, Path(out), provenance_of(study, {**asked, "half_width": half_width}))
    return study


def provenance_of(study: Faithfulness, arguments: dict[str, Any]) -> Provenance:
    models = {
        f"{group} {number}": each for group, members in study.groups.items() for number, each in enumerate(members, 1)
    }
    return gather_provenance(
        weights={role: each.digest for role, each in models.items()},
        data={"suite": arguments["suite"]},
        names={role: each.name for role, each in models.items()},
        arguments_passed=arguments,
        arguments_resolved=arguments,
        seeds=(arguments["seed"],),
    )


def marks_beside(called: str, suite: Suite | str | Path) -> ReasoningMarks:
    if isinstance(suite, Suite):
        problem = Problem("a suite in memory, and no marks", "marks of its reasoning", "give marks=ReasoningMarks(...)")
        raise InputError(called, problem)
    return ReasoningMarks.from_folder(suite)


def kinds_of(questions: Sequence[Question]) -> list[str]:
    return list(dict.fromkeys(question.kind for question in questions))


def measured_once(
    model: Model,
    questions: Sequence[Question],
    marks: ReasoningMarks,
    length: int,
    asked: dict[str, Any],
    out: Path,
) -> Measured:
    """Reads what an earlier call measured of the same weights, or measures it and keeps it."""
    key = sha256(canonical_json({**asked, "model": model.digest, "version": VERSION}))
    path = out / MEASURED / f"{key.removeprefix('sha256:')[:16]}.json"
    if path.is_file():
        return Measured.from_json(read_json(path))
    with one_thread_if_small(model.n_parameters):
        found = measured(model, questions, marks, length, asked["seed"])
    write_durably(path, canonical_json(found.to_json()))
    return found
