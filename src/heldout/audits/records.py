"""Raw scores as rows of measurements.parquet: one row a prompt and quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from heldout.audits.effects import Trial
from heldout.audits.examination import Examination, Subject
from heldout.audits.prompts import Answers, Prompts
from heldout.audits.read import Reading
from heldout.audits.removals import Removal
from heldout.audits.transplant import Transplanted
from heldout.data import ROLES
from heldout.evals.battery import Scores
from heldout.models import Site

Columns = dict[str, list[Any]]


def answer_rows(subject: Subject, answers: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Every answer of the candidate and of the baseline, with what the grader made of it (1 accepted, 0 rejected)."""
    rows: list[dict[str, Any]] = []
    for role in ROLES:
        for model, key in (("candidate", role), ("baseline", f"baseline {role}")):
            rows += [
                {
                    "behaviour": subject.behaviour,
                    "quantity": "accepted",
                    "model": model,
                    "role": role,
                    "split": split,
                    "sample": sample.id,
                    "value": float(answer in sample.accepts),
                    "answer": answer,
                }
                for sample, split, answer in zip(
                    subject.prompts[role].samples,
                    subject.prompts[role].split.tolist(),
                    answers.get(key, []),
                    strict=False,
                )
            ]
    return rows


def decoded_rows(examination: Examination, readings: Mapping[Site, Reading], model: str = "candidate") -> Columns:
    """What the readout decodes for every prompt at every site."""
    columns: Columns = {}
    labelled = examination.data.trusted
    sides = (
        [(labelled, "trusted")]
        if labelled.role == examination.role
        else [(labelled, "trusted"), (examination.prompts, "examined")]
    )
    for site, reading in readings.items():
        for prompts, side in sides:
            decoded: Answers = getattr(reading, side)
            extend(
                columns,
                examination,
                prompts,
                decoded,
                quantity="decoded_answer",
                site=str(site),
                layer=site.layer,
                position=-1,
                model=model,
            )
    return columns


def trial_rows(examination: Examination, removal: Removal, trial: Trial, split: str) -> Columns:
    """Answers after a removal, and after each of its random counterparts."""
    columns: Columns = {}
    prompts = examination.prompts.of_split(split)
    place = {"site": str(removal.site), "layer": removal.site.layer, "quantity": "answer_after", "model": "candidate"}
    extend(columns, examination, prompts, trial.after, intervention=removal.name, direction="found", **place)
    for index, answers in enumerate(trial.random):
        extend(columns, examination, prompts, answers, intervention=removal.name, direction=f"random {index}", **place)
    return columns


def transplant_rows(examination: Examination, moved: Transplanted) -> Columns:
    """Answers of the trusted runs that received an examined prompt's stream."""
    columns: Columns = {}
    prompts = examination.prompts.of_split("test")
    place = {"site": str(moved.site), "layer": moved.site.layer, "position": -1, "model": "candidate"}
    quantity, intervention = "answer_transplanted", "transplant"
    extend(columns, examination, prompts, moved.answers, quantity=quantity, intervention=intervention, **place)
    return columns


def battery_rows(subject: Subject, scores: Sequence[Scores]) -> Columns:
    """Raw scores of the behavioural evals; answers stand there where a score is about one."""
    columns: Columns = {}
    for each in scores:
        n = len(each.prompts)
        varying: Columns = {
            "sample": [sample.id for sample in each.prompts.samples],
            "split": each.prompts.split.tolist(),
            "value": each.values.tolist(),
            "answer": [None] * n if each.answers is None else each.answers.tolist(),
        }
        constant = {"quantity": each.quantity, "intervention": each.intervention, "direction": each.direction}
        constant |= {"behaviour": subject.behaviour, "role": each.prompts.role, "model": each.model}
        for name, values in varying.items():
            columns.setdefault(name, []).extend(values)
        for name, value in constant.items():
            columns.setdefault(name, []).extend([value] * n)
    return columns


def extend(columns: Columns, examination: Examination, prompts: Prompts, answers: Answers, **constant: Any) -> None:
    """Adds one row a prompt: its answer, whether its own grader accepts it, and what is the same for all of them."""
    n = len(prompts)
    varying: Columns = {
        "sample": list(prompts.ids),
        "split": prompts.split.tolist(),
        "answer": answers.tolist(),
        "value": prompts.accepts(answers).astype(float).tolist(),
    }
    constant = {"behaviour": examination.subject.behaviour, "role": prompts.role, **constant}
    for name, values in varying.items():
        columns.setdefault(name, []).extend(values)
    for name, value in constant.items():
        columns.setdefault(name, []).extend([value] * n)
