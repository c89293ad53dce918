"""The readings as results: by site on the test split, each beside its nulls, corrected over the sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from heldout.audits.examination import Examination
from heldout.audits.intervene import Intervened
from heldout.audits.nulls import NullReadings
from heldout.audits.read import Reading, agreement, permuted_labels
from heldout.audits.replacement import permuted_traces
from heldout.execution.result import Null, Result
from heldout.models import Site
from heldout.statistics import max_t_p_values, proportion_interval
from heldout.techniques import AnswerReadoutFitter

HEAT_MAP_LAYERS = 8


def readability_results(examination: Examination, readings: Mapping[Site, Reading], words: Reading) -> list[Result]:
    """Accuracy where the audit stops early: outside the test split, beside the words of the prompt."""
    data = examination.data
    rows = data.trusted.rows("select", "calibrate")
    rate, majority = words.accuracy(data.labels, rows), data.majority_rate(rows)
    nulls = [Null("bag of tokens", rate, rate, 1), Null("commonest answer", majority, majority, 1)]
    return [
        replace(
            proportion_result(
                examination,
                site,
                "readout_accuracy",
                examination.label_role,
                reading.trusted[rows] == data.labels[rows],
                nulls,
            ),
            split="select",
        )
        for site, reading in readings.items()
    ]


def reading_results(
    examination: Examination, readings: Mapping[Site, Reading], nulls: NullReadings, found: Intervened
) -> list[Result]:
    """Accuracy on trusted prompts; on examined ones, agreement with the output and acceptability of what is decoded; and
    how often the untouched run holds what the removal brings out."""
    p_values = acceptability_p_values(examination, readings)
    results: list[Result] = []
    for site, reading in readings.items():
        results += [
            accuracy_result(examination, reading, nulls),
            agreement_result(examination, reading),
            acceptability_result(examination, reading, p_values[site]),
        ]
    return [*results, knowledge_result(examination, readings, nulls, found)] if len(found.changed) else results


def accuracy_result(examination: Examination, reading: Reading, nulls: NullReadings) -> Result:
    data = examination.data
    rows = data.trusted.rows("test")
    rates = {name: null.accuracy(data.labels, rows) for name, null in nulls.at(reading.site).items()}
    return proportion_result(
        examination,
        reading.site,
        "readout_accuracy",
        examination.label_role,
        reading.trusted[rows] == data.labels[rows],
        [Null(name, rate, rate, 1) for name, rate in rates.items()],
    )


def agreement_result(examination: Examination, reading: Reading) -> Result:
    rows = examination.prompts.rows("test")
    answers = examination.streams.answers[rows]
    decoded = reading.examined[rows]
    chance = float(np.mean(decoded[:, None] == answers[None, :]))
    nulls = [Null("outputs of other items", chance, chance, 1)]
    return proportion_result(
        examination, reading.site, "readout_agreement", examination.role, decoded == answers, nulls
    )


def acceptability_result(examination: Examination, reading: Reading, p_value: float) -> Result:
    prompts = examination.prompts.of_split("test")
    decoded = reading.examined[examination.prompts.rows("test")]
    chance = float(prompts.cross_accepts(decoded).mean())
    nulls = [Null("graders of other items", chance, chance, 1, p_value)]
    accepted = prompts.accepts(decoded)
    return proportion_result(examination, reading.site, "decoded_acceptable", examination.role, accepted, nulls)


def acceptability_p_values(examination: Examination, readings: Mapping[Site, Reading]) -> dict[Site, float]:
    """Family-wise over the sites: for all of them the same permutations of the graders, and the largest excess of each
    as reference."""
    settings = examination.subject.settings
    prompts, rows = examination.prompts.of_split("test"), examination.prompts.rows("test")
    crosses = [prompts.cross_accepts(reading.examined[rows]) for reading in readings.values()]
    draws = np.stack([permuted_traces(cross, settings.permutations, settings.seed) for cross in crosses], axis=1)
    observed = np.array([np.trace(cross) for cross in crosses], dtype=np.float64)
    expected = np.array([cross.mean() * len(prompts) for cross in crosses])
    p_values = max_t_p_values(observed - expected, draws - expected)
    return dict(zip(readings, p_values.tolist(), strict=True))


def heat_map_results(examination: Examination) -> list[Result]:
    """Accuracy on trusted prompts at earlier positions too, after some layers, beside readouts of permuted labels."""
    data, streams = examination.data, examination.subject.streams[examination.label_role]
    posts = [site for site in examination.subject.sites if site.name != "resid_mid"]
    step = -(-len(posts) // HEAT_MAP_LAYERS)
    labels = data.labels[data.fit_rows]
    permuted = permuted_labels(labels, examination.subject.settings.seed, 1)
    rows = data.trusted.rows("test")
    results: list[Result] = []
    for site in posts[::-step][::-1]:
        for position in streams.positions[-HEAT_MAP_LAYERS:-1]:
            fitted, tested = (streams.at(site, chosen.tolist(), position) for chosen in (data.fit_rows, rows))
            right, null = (
                AnswerReadoutFitter().fit(fitted, given)(tested) == data.labels[rows] for given in (labels, permuted)
            )
            nulls = [Null("permuted labels", float(null.mean()), float(null.mean()), 1)]
            results.append(
                proportion_result(examination, site, "readout_accuracy", examination.label_role, right, nulls, position)
            )
    return results


def knowledge_result(
    examination: Examination, readings: Mapping[Site, Reading], nulls: NullReadings, found: Intervened
) -> Result:
    """How often the untouched run already holds the answer that the removal brings out; changed items only."""
    site, rows = found.observed.held_at, examination.prompts.rows("test")
    changed = np.flatnonzero(found.observed.replacement.changed)
    after = found.trials.chosen.after[changed]
    rates = {name: agreement(null.examined[rows][changed], after) for name, null in nulls.at(site).items()}
    held = readings[site].examined[rows][changed] == after
    listed = [Null(name, rate, rate, 1) for name, rate in rates.items()]
    return proportion_result(examination, site, "answer_held", examination.role, held, listed)


def proportion_result(
    examination: Examination,
    site: Site,
    quantity: str,
    role: str,
    flags: np.ndarray[tuple[int], np.dtype[np.bool_]],
    nulls: list[Null],
    position: int = -1,
) -> Result:
    n = len(flags)
    return Result(
        technique="linear readout of the answer",
        quantity=quantity,
        unit="fraction of prompts",
        effect=float(flags.mean()) if n else 0.0,
        interval=proportion_interval(int(flags.sum()), n),
        n=n,
        nulls=tuple(nulls),
        site=str(site),
        layer=site.layer,
        position=position,
        role=role,
        split="test",
    )
