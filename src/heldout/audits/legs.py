"""The legs of a verdict, each from its measurements on the test split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from heldout.audits.examination import Examination
from heldout.audits.intervene import Intervened, beats_random
from heldout.audits.judge import Findings, Leg, conditional_leg, independent_of_truth, proportion_leg
from heldout.audits.nulls import NullReadings
from heldout.audits.read import Reading, agreement, renamed, renaming, tracking
from heldout.audits.replacement import replacement
from heldout.audits.transplant import Transplanted
from heldout.data import Role
from heldout.models import Site
from heldout.statistics import exceeds_rate_p_value


def findings_of(
    examination: Examination,
    capable: Mapping[Role, bool],
    readings: Mapping[Site, Reading],
    nulls: NullReadings,
    found: Intervened,
) -> Findings:
    """Everything that judging needs, from the test split."""
    thresholds = examination.subject.settings.thresholds
    prompts, data = examination.prompts, examination.data
    rows, trusted_rows = prompts.rows("test"), data.trusted.rows("test")
    outputs, after = examination.streams.answers[rows], found.trials.chosen.after
    reading = readings[found.observed.held_at]
    renaming_gap, in_own_words = renaming_evidence(examination, readings)
    return Findings(
        capable=capable,
        examined=examination.role,
        represented=represented_leg(examination, reading, nulls, found),
        conditional=None
        if examination.trusted_role is None
        else conditional_leg(
            (int(np.sum(reading.trusted[trusted_rows] == data.labels[trusted_rows])), len(trusted_rows)),
            (int(np.sum(reading.examined[rows] == outputs)), len(rows)),
            thresholds,
            str(reading.site),
        ),
        restored=restored_leg(examination, found),
        replaced=replaced_leg(examination, found),
        independent=independent_of_truth(prompts.of_split("test"), outputs, after, examination.subject.settings),
        tracked=tracking(
            readings, data, examination.streams.answers, informative=thresholds.majority, rows=(trusted_rows, rows)
        ),
        departs=departs(examination, reading),
        renaming_gap=renaming_gap,
        renamed_vocabulary=in_own_words,
    )


def represented_leg(examination: Examination, reading: Reading, nulls: NullReadings, found: Intervened) -> Leg:
    """Of the prompts whose answer the removal changes, how many hold that answer while the run is untouched.

    Two instruments may show it, a readout against its nulls and a transplant of the last position against transplants
    from other items; the better one counts, with its p-value doubled."""
    readout = readout_leg(examination, reading, nulls, found)
    if found.transplanted is None:
        return readout
    better = min((readout, transplant_leg(examination, found, found.transplanted)), key=lambda leg: leg.p_value)
    p_value = min(1.0, 2.0 * better.p_value)
    return replace(
        better, p_value=p_value, found=better.found and p_value <= examination.subject.settings.thresholds.alpha
    )


def readout_leg(examination: Examination, reading: Reading, nulls: NullReadings, found: Intervened) -> Leg:
    rows, changed = examination.prompts.rows("test"), found.changed
    after = found.trials.chosen.after[changed]
    held = int(np.sum(reading.examined[rows][changed] == after))
    rates = [agreement(null.examined[rows][changed], after) for null in nulls.at(reading.site).values()]
    return proportion_leg(
        "represented", held, len(changed), rates, examination.subject.settings.thresholds, str(reading.site)
    )


def transplant_leg(examination: Examination, found: Intervened, moved: Transplanted) -> Leg:
    settings, after, changed = examination.subject.settings, found.trials.chosen.after, found.changed
    others = moved.other_items(after, changed, settings.random_directions, settings.seed)
    return proportion_leg(
        "represented", moved.successes(after, changed), len(changed), others, settings.thresholds, str(moved.site)
    )


def restored_leg(examination: Examination, found: Intervened) -> Leg:
    """The removal turns answers into acceptable ones that the untouched run holds, oftener than random directions do."""
    thresholds = examination.subject.settings.thresholds
    return proportion_leg(
        "restored",
        round(found.observed.restored * found.n),
        found.n,
        found.random_restored,
        thresholds,
        str(found.removal.site),
    )


def replaced_leg(examination: Examination, found: Intervened) -> Leg:
    """The removal turns answers into other acceptable ones: beyond chance, and beyond any random direction."""
    thresholds = examination.subject.settings.thresholds
    replacement = found.observed.replacement
    by_chance = 1.0 if replacement.p_value is None else replacement.p_value
    p_value = max(by_chance, beats_random(replacement.successes, found.n, found.random_replaced))
    null = max((effects.replaced for effects in found.random), default=0.0)
    significant = p_value <= thresholds.alpha and found.observed.replaced > thresholds.majority
    return Leg("replaced", found.observed.replaced, null, p_value, significant, str(found.removal.site), found.n)


def departs(examination: Examination, reading: Reading) -> bool:
    """Whether, where outputs differ from what the readout decodes, the decoded answers are acceptable beyond chance.

    A mistaken readout decodes wrong answers; a withheld answer is one that the grader would pass."""
    settings, rows = examination.subject.settings, examination.prompts.rows("test")
    prompts, outputs = examination.prompts.chosen(rows), examination.streams.answers[rows]
    found = replacement(
        prompts, outputs, reading.examined[rows], permutations=settings.permutations, seed=settings.seed
    )
    return found.p_value is not None and found.p_value <= settings.thresholds.alpha


def renaming_evidence(examination: Examination, readings: Mapping[Site, Reading]) -> tuple[float, bool]:
    """The share of the readout's accuracy that is lost when a one-to-one renaming of the decoded answers, found outside
    the test split, predicts the outputs in it; and whether nearly all outputs are words that trusted prompts are never
    answered with."""
    data, prompts, outputs = examination.data, examination.prompts, examination.streams.answers
    thresholds = examination.subject.settings.thresholds
    selected = data.trusted.rows("select", "calibrate")
    best = max(list(readings)[:-1], key=lambda site: readings[site].accuracy(data.labels, selected))
    known, test = prompts.rows("fit", "select", "calibrate"), prompts.rows("test")
    decoded = readings[best].examined
    names = renaming(decoded[known], outputs[known])
    predicted = agreement(renamed(decoded[test], names), outputs[test])
    accuracy = readings[best].accuracy(data.labels, data.trusted.rows("test"))
    foreign = float(np.mean(~np.isin(outputs, data.labels)))
    return (1.0 - predicted / accuracy if accuracy else 1.0), foreign >= 1.0 - thresholds.tolerance


def answer_is_readable(examination: Examination, readings: Mapping[Site, Reading], words: Reading) -> bool:
    """Whether any site's readout of the verified answers beats the words of the prompt and the commonest answer.

    Decided outside the test split, at the audit's level divided by the number of sites: it only saves work."""
    data, thresholds = examination.data, examination.subject.settings.thresholds
    rows = data.trusted.rows("select", "calibrate")
    reference = max(words.accuracy(data.labels, rows), data.majority_rate(rows))
    p_values = [
        exceeds_rate_p_value(int(np.sum(reading.trusted[rows] == data.labels[rows])), len(rows), reference)
        for reading in readings.values()
    ]
    return min(p_values) <= thresholds.alpha / len(p_values)
