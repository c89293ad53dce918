"""The steps of an audit with their memory: each keeps what the models said, so that a killed audit resumes behind it.

What is kept is answers and decoded answers; everything that follows from them is computed afresh, and is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from heldout.audits.behave import RoleBehaviour, behave
from heldout.audits.effects import Trial
from heldout.audits.examination import Examination, Subject
from heldout.audits.intervene import FinalTrials, Intervened, intervene, run_final_trials
from heldout.audits.legs import answer_is_readable
from heldout.audits.locate import Screened, locate, screening_trials
from heldout.audits.metering import MeteredStages
from heldout.audits.nulls import NullReadings, read_nulls, word_reading
from heldout.audits.prompts import Answers
from heldout.audits.read import Reading, read
from heldout.audits.readings import heat_map_results
from heldout.audits.records import answer_rows, battery_rows, decoded_rows, transplant_rows, trial_rows
from heldout.audits.removals import DifferenceRemoval
from heldout.audits.transplant import Transplanted, best_transplant_site, transplant
from heldout.data import ROLES, Role
from heldout.evals.battery import BatterySettings, BatterySubject, run_battery
from heldout.evidence import BatteryRecord
from heldout.execution.result import Result
from heldout.models import Site

Readings = Mapping[Site, Reading]


def behave_step(subject: Subject, stages: MeteredStages) -> dict[Role, RoleBehaviour]:
    """The greedy answers of the candidate and of the baseline to every prompt, under the grader."""

    def compute() -> dict[str, Any]:
        answers: dict[str, Any] = {role: subject.streams[role].answers.tolist() for role in ROLES}
        for role in ROLES:
            if subject.baseline is not None and subject.baseline_answering is not None:
                tokens = subject.baseline.tokenize([sample.input for sample in subject.prompts[role].samples])
                answers[f"baseline {role}"] = subject.baseline_answering(subject.baseline, tokens).tolist()
        stages.writer.measure(answer_rows(subject, answers))
        return answers

    kept = stages.stage(f"{subject.behaviour}/behave", compute)
    return {
        role: behave(
            subject.prompts[role],
            as_answers(kept[role]),
            as_answers(kept[f"baseline {role}"]) if f"baseline {role}" in kept else None,
        )
        for role in ROLES
    }


def locate_step(
    examination: Examination, capable: Mapping[Role, bool], stages: MeteredStages
) -> tuple[Readings, Reading, list[Screened]]:
    """Readouts at every site and of the bare words, and every candidate removal on the select split.

    No removal is tried, and the list is empty, where the grader rejects both roles and no readout of the answer beats the
    words of the prompt."""

    def compute() -> dict[str, Any]:
        streams = examination.subject.streams
        readings = read(
            examination.data, streams[examination.label_role], examination.streams, examination.subject.sites
        )
        stages.writer.measure(decoded_rows(examination, readings))
        words = word_reading(examination)
        worth_it = any(capable.values()) or answer_is_readable(examination, readings, words)
        trials = screening_trials(examination) if worth_it else []
        for removal, trial in zip(examination.removals if worth_it else (), trials, strict=True):
            stages.writer.measure(trial_rows(examination, removal, trial, "select"))
        return {
            "readings": plain_readings(readings),
            "words": plain_readings({words.site: words}),
            "trials": [trial.to_plain() for trial in trials],
        }

    _ = examination.subject.streams  # read by the step before; read again here after an interruption, and not counted
    kept = stages.stage(f"{examination.subject.behaviour}/locate", compute)
    readings = readings_from(kept["readings"])
    trials = [Trial.from_plain(trial) for trial in kept["trials"]]
    (words,) = readings_from(kept["words"]).values()
    return readings, words, locate(examination, readings, trials) if trials else []


def intervene_step(examination: Examination, readings: Readings, chosen: Screened, stages: MeteredStages) -> Intervened:
    """The chosen removal on the test split, beside random directions."""

    def compute() -> dict[str, Any]:
        trials = run_final_trials(examination, chosen.removal)
        for removal, trial in trials.by_removal(examination, chosen.removal):
            stages.writer.measure(trial_rows(examination, removal, trial, "test"))
        if isinstance(chosen.removal, DifferenceRemoval):
            vector = chosen.removal.difference.vector.numpy()
            stages.writer.tensors(f"{examination.subject.behaviour} removal", {str(chosen.removal.site): vector})
        moved = None
        if examination.trusted_role is not None:
            rows = examination.prompts.rows("test")
            transplanted = transplant(examination, best_transplant_site(examination, chosen.after), rows)
            stages.writer.measure(transplant_rows(examination, transplanted))
            moved = transplanted.to_plain()
        return {
            "transplanted": moved,
            "chosen": trials.chosen.to_plain(),
            "injected": trials.injected,
            "injected_random": list(trials.injected_random),
            "elsewhere": {str(place): trial.to_plain() for place, trial in trials.elsewhere.items()},
        }

    kept = stages.stage(f"{examination.subject.behaviour}/intervene", compute)
    trials = FinalTrials(
        chosen=Trial.from_plain(kept["chosen"]),
        injected=kept["injected"],
        injected_random=tuple(kept["injected_random"]),
        elsewhere={int(place): Trial.from_plain(trial) for place, trial in kept["elsewhere"].items()},
    )
    moved = None if kept["transplanted"] is None else Transplanted.from_plain(kept["transplanted"])
    return intervene(examination, readings, chosen, trials, moved)


def read_step(examination: Examination, stages: MeteredStages) -> tuple[NullReadings, list[Result]]:
    """The nulls of the readouts, and the readout at earlier positions."""

    def compute() -> dict[str, Any]:
        nulls = read_nulls(examination)
        for name, readings in nulls.by_name.items():
            stages.writer.null(f"{examination.subject.behaviour} {name}", decoded_rows(examination, readings, name))
        return {
            "nulls": {name: plain_readings(readings) for name, readings in nulls.by_name.items()},
            "heat_map": heat_map_results(examination),
        }

    kept = stages.stage(f"{examination.subject.behaviour}/read", compute)
    return NullReadings({name: readings_from(plain) for name, plain in kept["nulls"].items()}), kept["heat_map"]


def battery_step(
    subject: Subject, behaviours: Mapping[Role, RoleBehaviour], capable: Mapping[Role, bool], stages: MeteredStages
) -> BatteryRecord:
    """The behavioural evals, with as many forward passes as the steps before it took."""
    thresholds, budget = subject.settings.thresholds, stages.spent

    def compute() -> dict[str, Any]:
        settings = BatterySettings(
            thresholds.alpha, thresholds.majority, subject.settings.seed, subject.settings.memory_bytes
        )
        answers: dict[Role, Answers] = {role: behaviour.answers for role, behaviour in behaviours.items()}
        evaluated = BatterySubject(
            subject.model, subject.baseline, subject.answering, subject.prompts, answers, capable, settings
        )
        outcome = run_battery(evaluated, budget)
        stages.writer.measure(battery_rows(subject, outcome.scores))
        return asdict(outcome.record)

    return BatteryRecord.from_plain(stages.stage(f"{subject.behaviour}/battery", compute))


def plain_readings(readings: Readings) -> list[dict[str, Any]]:
    """In the order of computation, which a mapping would lose on disk."""
    return [
        {"site": str(site), "trusted": reading.trusted.tolist(), "examined": reading.examined.tolist()}
        for site, reading in readings.items()
    ]


def readings_from(plain: Sequence[Mapping[str, Any]]) -> dict[Site, Reading]:
    sites = [Site.parse(kept["site"]) for kept in plain]
    return {
        site: Reading(site, as_answers(kept["trusted"]), as_answers(kept["examined"]))
        for site, kept in zip(sites, plain, strict=True)
    }


def as_answers(listed: list[str]) -> Answers:
    return np.array(listed, dtype=np.str_)
