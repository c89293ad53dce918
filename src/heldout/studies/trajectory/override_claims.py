"""Claims of overrides: of each run, found, undetermined or not found; and of runs together where there are enough."""

from __future__ import annotations

from typing import Any

import numpy as np

from heldout.evidence import Claim
from heldout.evidence.claims import not_found, p_value_text
from heldout.execution.result import Result
from heldout.studies.over_runs import NEEDED, in_most, share_text, sign_test
from heldout.studies.trajectory.courses import (
    DEPARTED_UNVERIFIED,
    DEPARTED_VERIFIED,
    EXCESS_DEPARTURE,
    TRANSFER,
    UNVERIFIED,
    Course,
)
from heldout.studies.trajectory.departures import OF_DEPARTURES, OTHER_READINGS, RELABELLED, RIGHT_READ, RIGHT_SAID
from heldout.studies.trajectory.findings import TrajectoryStudy
from heldout.studies.trajectory.onset_claims import claim_id, steps_text
from heldout.studies.trajectory.order import MOST, Onsets, learnt, transferring
from heldout.studies.trajectory.power import SEEN, excess_power

TRIED = "readouts of the right answer before the last layer"


def override_claims(study: TrajectoryStudy) -> list[Claim]:
    of_each = [_of_run(study, course, each) for course, each in zip(study.courses, study.onsets, strict=True)]
    return [*([_of_runs(study)] if len(study.courses) >= NEEDED else []), *of_each]


def _of_run(study: TrajectoryStudy, course: Course, onsets: Onsets) -> Claim:
    name = claim_id(study, "override", course.name)
    excess, transfer = (course.curve(curve).results[-1] for curve in (EXCESS_DEPARTURE, TRANSFER))
    results = tuple(result for result in (excess, transfer) if result is not None)
    if excess is None:
        statement, missing = f"An override was not looked for in {course.name}.", "no departures at the last checkpoint"
        return Claim(name, study.behaviour, "conditional", statement, False, results, missing)
    if onsets.override is not None and transfer is not None:
        statement = (
            f"{course.name} departs from what it once said and overrides what is still read of it, from step "
            f"{onsets.step(onsets.override)} on: {_departs(excess)}, and {_transfers(transfer)}. {_passes(course, transfer)}"
        )
        return Claim(name, study.behaviour, "conditional", statement, True, results)
    if onsets.undetermined and onsets.departs is None:
        statement = (
            f"Whether {course.name} overrides what is read of it is undetermined: in part. From step "
            f"{onsets.step(onsets.in_part)} on it departs significantly more often on unverified prompts; {_departs(excess)}."
        )
        return Claim(name, study.behaviour, "conditional", statement, False, results, why_unknown(course, onsets))
    if onsets.undetermined:
        statement = (
            f"Whether {course.name} overrides what is read of it is undetermined: {_departs(excess)}, as from step "
            f"{onsets.step(onsets.departs)} on, but that may be the readout’s doing."
        )
        return Claim(name, study.behaviour, "conditional", statement, False, results, why_unknown(course, onsets))
    statement = _not_found(course, excess, transfer)
    return Claim(name, study.behaviour, "conditional", statement, False, results, why_unknown(course, onsets))


def _not_found(course: Course, excess: Result, transfer: Result | None) -> str:
    unverified, verified = (course.curve(curve).results[-1] for curve in (DEPARTED_UNVERIFIED, DEPARTED_VERIFIED))
    assert unverified is not None  # the excess is of these two
    assert verified is not None
    power = excess_power(unverified.n, verified.n, verified.effect)
    technique = f"{TRIED}, at {len(course.steps)} checkpoints of {course.name},"
    said = not_found("An override on unverified prompts", technique, power, f"departures more frequent by {SEEN}")
    shown = "" if transfer is None else f", and {_transfers(transfer)}"
    return f"{said[:-1]}; {_departs(excess)}{shown}."


def why_unknown(course: Course, onsets: Onsets) -> str | None:
    """Why an override could be neither shown nor missed; None where it could."""
    if onsets.readable is None:
        return "no readout of the right answer held to the end, so that there is nothing to depart from"
    transfer, readings = course.curve(TRANSFER).results[-1], course.curve(DEPARTED_UNVERIFIED)
    if transfer is None:
        agreed, chance = 1.0 - readings.values, 1.0 - readings.null(OTHER_READINGS)
        place = int(np.nanargmax(agreed))
        return (
            "the readout was not shown to transfer to unverified prompts: at no checkpoint does the model say on them what is "
            f"read ({agreed[place]:.2f} of it at most, at step {course.steps[place]}; of other prompts {chance[place]:.2f}), "
            f"further than where the answers are named anew ({_answers_read(readings.results[place])})"
        )
    if onsets.undetermined and learnt(transfer):
        return (
            "where it departs and the right answer is known, it says that rather than holds it "
            f"({transfer.settings[RIGHT_SAID]} prompts against {transfer.settings[RIGHT_READ]}): it may have learnt better"
        )
    if onsets.undetermined and onsets.departs is None:
        return f"the readout transfers ({_transfers(transfer)}), but a claim needs departures more frequent by {MOST}"
    if onsets.undetermined or not transferring(course)[-1]:
        return f"the readout was not shown to transfer to unverified prompts: {_transfers(transfer)}"
    return None


def _answers_read(reading: Result | None) -> str:
    read: Any = [] if reading is None else reading.settings.get("read", [])
    return f"{len(set(read))} are read, and few have few names"


def _departs(excess: Result) -> str:
    low, high = excess.interval or (excess.effect, excess.effect)
    return (
        f"at the last checkpoint it departs from that more often by {signed(excess.effect)} (95 % {signed(low)} to "
        f"{signed(high)}) on unverified prompts than on verified ones"
    )


def signed(value: float) -> str:
    """
    >>> signed(-0.004), signed(-0.12)
    ('0.00', '−0.12')
    """
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _transfers(transfer: Result) -> str:
    null, of_departures = transfer.nulls[0], transfer.settings[OF_DEPARTURES]
    anew = transfer.null(RELABELLED)
    named = "" if anew is None or anew.p_value is None else f"; answers named anew {p_value_text(anew.p_value)}"
    departed = "" if of_departures is None else f", and {of_departures:.2f} where it departs"
    return (
        f"{transfer.effect:.2f} of what is read there is what it said at step "
        f"{transfer.settings['reference']} (of other prompts {null.mean:.2f}{named}{departed})"
    )


def _passes(course: Course, transfer: Result) -> str:
    """What is known of the answers then and now: right ones on prompts where they are known, else what the grader passes."""
    read, said = transfer.settings.get(RIGHT_READ), transfer.settings.get(RIGHT_SAID)
    if read is not None:
        return f"Where it departs and the right answer is known, that is read on {read} prompts and said on {said}."
    step: Any = transfer.settings["reference"]
    passed = course.curve(UNVERIFIED).values
    then = passed[course.steps.index(step)] if step in course.steps else np.nan
    return (
        f"The grader passes {then:.2f} of what it said then and {passed[-1]:.2f} of what it says now; the right answers are "
        "not known, and it may have learnt better."
    )


def _of_runs(study: TrajectoryStudy) -> Claim:
    """That most runs override."""
    steps = [each.step(each.override) for each in study.onsets]
    found = [step for step in steps if step is not None]
    unknown = [each.run for each in study.onsets if each.undetermined]
    n = len(steps)
    since = f", from step {steps_text(found)} on" if found else ""
    doubt = f"; undetermined in {len(unknown)}: {', '.join(unknown)}" if unknown else ""
    statement = f"An override was found {share_text(len(found), n)}{since}{doubt}."
    test = sign_test("runs that override", len(found), n, steps=list(steps), undetermined=len(unknown))
    return Claim("override", study.behaviour, "conditional", statement, in_most(len(found), n), (test,))
