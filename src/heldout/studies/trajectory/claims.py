"""The study's claims: what was learnt and when, what was overridden, what came first, and where training divides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from heldout.evidence import Claim
from heldout.evidence.claims import not_found, p_value_text
from heldout.execution.result import Null, Result
from heldout.statistics import detection_power, mean_interval
from heldout.studies.trajectory.courses import OVERRIDE, RIGHT, VERIFIED, CurveName
from heldout.studies.trajectory.findings import TrajectoryStudy
from heldout.studies.trajectory.order import MOST, Onsets
from heldout.studies.trajectory.phases import DATED, LEVEL

NEEDED = 5
"""Runs that a sign test needs for p ≤ 0.05."""


def claims_of(study: TrajectoryStudy) -> tuple[Claim, ...]:
    return (
        _onset(study, "readable", "The right answer can be read of the model", RIGHT, lambda each: each.readable),
        _onset(study, "right", "Verified prompts are answered rightly", VERIFIED, lambda each: each.right),
        _override(study),
        *((_order(study),) if study.order.runs else ()),
        _phases(study),
    )


def _onset(
    study: TrajectoryStudy, name: str, said: str, curve: CurveName, place: Callable[[Onsets], int | None]
) -> Claim:
    steps = _steps(study, place)
    results = _last(study, curve)
    if not steps:
        subject = said[0].lower() + said[1:]
        statement = not_found(f"A checkpoint from which on {subject}", f"its curve and null, in {_runs(study)}", None)
        return Claim(name, study.behaviour, "behaviour", statement, False, results)
    statement = f"{said} from step {_in_words(steps)} on, in {len(steps)} of {len(study.courses)} runs."
    return Claim(name, study.behaviour, "behaviour", statement, len(steps) == len(study.courses), results)


def _override(study: TrajectoryStudy) -> Claim:
    steps, results = _steps(study, lambda each: each.override), _last(study, OVERRIDE)
    if steps:
        statement = (
            f"From step {_in_words(steps)} on the model says something else than what is read of it, on unverified "
            f"prompts and not on verified ones, in {len(steps)} of {len(study.courses)} runs."
        )
        return Claim("override", study.behaviour, "conditional", statement, True, results)
    sizes = [(result.n, null.n) for result in results for null in result.nulls]
    power = min((detection_power(n - other, 0.05, MOST, LEVEL) for n, other in sizes), default=None)
    technique = f"readouts of the right answer before the last layer, in {_runs(study)}"
    statement = not_found("An override on unverified prompts", technique, power, f"an excess of {MOST}")
    return Claim("override", study.behaviour, "conditional", statement, False, results)


def _order(study: TrajectoryStudy) -> Claim:
    order = study.order
    interval = "" if order.gap_interval is None else f" (95 % interval {_range(order.gap_interval)})"
    statement = (
        f"The capability comes before the override in {order.first} of {order.runs} runs, by {order.gap:.0f} steps in the "
        f"mean{interval}; sign test {p_value_text(order.p_value)}."
    )
    result = Result(
        technique="exact sign test",
        quantity="capability_first",
        unit="fraction of runs",
        effect=order.first / order.runs,
        n=order.runs,
        interval=order.share,
        nulls=(Null("either order as likely", 0.5, 0.5, order.runs, order.p_value),),
        settings={"gaps": [each.gap for each in study.onsets if each.gap is not None]},
    )
    missing = None if order.runs >= NEEDED else f"{NEEDED} runs are needed for p ≤ {LEVEL}; these are {order.runs}."
    found = order.p_value <= LEVEL
    return Claim(
        "order", study.behaviour, "conditional", statement, found, (result,), missing=None if found else missing
    )


def _phases(study: TrajectoryStudy) -> Claim:
    phases = study.phases
    if not phases.boundaries:
        told = f"the {len(phases.told_by)} of {len(DATED)} curves that left their null"
        technique = f"change-points at {len(study.steps)} checkpoints, in {told}"
        statement = not_found("A boundary between phases", technique, None)
        return Claim("phases", study.behaviour, None, statement, False)
    places = ", ".join(f"{each.step} (between {each.low} and {each.high})" for each in phases.boundaries)
    statement = (
        f"Training divides into {len(phases.boundaries) + 1} phases, with boundaries at step {places}, told by: "
        f"{'; '.join(phases.told_by)}."
    )
    return Claim("phases", study.behaviour, None, statement, True)


def _runs(study: TrajectoryStudy) -> str:
    return "1 run" if len(study.courses) == 1 else f"{len(study.courses)} runs"


def _steps(study: TrajectoryStudy, place: Callable[[Onsets], int | None]) -> list[int]:
    found = [each.step(place(each)) for each in study.onsets]
    return [step for step in found if step is not None]


def _in_words(steps: Sequence[int]) -> str:
    """The mean with Student's interval, or the one step that all have."""
    if len(set(steps)) == 1:
        return str(steps[0])
    interval = mean_interval(np.array(steps, dtype=np.float64))
    assert interval is not None  # there are several
    return f"{np.mean(steps):.0f} (mean; 95 % interval {_range(interval)})"


def _range(interval: tuple[float, float]) -> str:
    return f"{max(interval[0], 0):.0f} to {interval[1]:.0f}"


def _last(study: TrajectoryStudy, curve: CurveName) -> tuple[Result, ...]:
    """Of every run at its last checkpoint."""
    found = [course.curve(curve).results[-1] for course in study.courses]
    return tuple(result for result in found if result is not None)
