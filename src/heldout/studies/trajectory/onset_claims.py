"""Claims of what was learnt and from when on: of runs together where there are enough of them, else of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heldout.evidence import Claim
from heldout.evidence.claims import not_found
from heldout.execution.result import Result
from heldout.statistics import mean_interval
from heldout.studies.over_runs import NEEDED, in_most, share_text, sign_test
from heldout.studies.trajectory.behaviour import CHANCE
from heldout.studies.trajectory.courses import RIGHT, VERIFIED, Course, CurveName
from heldout.studies.trajectory.findings import TrajectoryStudy
from heldout.studies.trajectory.order import PERMUTED, Onsets
from heldout.studies.trajectory.power import detectable_rate, rate_power


@final
@dataclass(frozen=True)
class Learnt:
    """Something that holds from a checkpoint on, with the curve and the null that tell it, and how it was looked for."""

    id: str
    said: str
    curve: CurveName
    null: str
    tried: str
    place: Callable[[Onsets], int | None]

    def step(self, onsets: Onsets) -> int | None:
        return onsets.step(self.place(onsets))

    def last(self, course: Course) -> Result | None:
        return course.curve(self.curve).results[-1]


LEARNT = (
    Learnt(
        "readable",
        "The right answer can be read of the model",
        RIGHT,
        PERMUTED,
        "linear readouts",
        lambda e: e.readable,
    ),
    Learnt("right", "Verified prompts are answered rightly", VERIFIED, CHANCE, "the grader", lambda each: each.right),
)


def onset_claims(study: TrajectoryStudy, learnt: Learnt) -> list[Claim]:
    if len(study.courses) < NEEDED:
        return [_of_run(study, learnt, place) for place in range(len(study.courses))]
    return [_of_runs(study, learnt)]


def claim_id(study: TrajectoryStudy, name: str, run: str) -> str:
    return name if len(study.courses) == 1 else f"{name}, {run}"


def _of_run(study: TrajectoryStudy, learnt: Learnt, place: int) -> Claim:
    course, step = study.courses[place], learnt.step(study.onsets[place])
    result = learnt.last(course)
    name, results = claim_id(study, learnt.id, course.name), () if result is None else (result,)
    if step is None:
        statement = _not_found(study, learnt, [course])
        return Claim(name, study.behaviour, "behaviour", statement, False, results)
    return Claim(
        name, study.behaviour, "behaviour", f"{learnt.said} from step {step} on, in {course.name}.", True, results
    )


def _of_runs(study: TrajectoryStudy, learnt: Learnt) -> Claim:
    """That it holds in most runs."""
    steps = [learnt.step(each) for each in study.onsets]
    found = [step for step in steps if step is not None]
    without = [course for course, step in zip(study.courses, steps, strict=True) if step is None]
    n, test = len(steps), sign_test(f"runs in which {learnt.id}", len(found), len(steps), steps=list(steps))
    parts = [f"{learnt.said} from step {steps_text(found)} on, {share_text(len(found), n)}."] if found else []
    parts += [_not_found(study, learnt, without)] if without else []
    results = tuple(result for result in (test, *map(learnt.last, study.courses)) if result is not None)
    return Claim(learnt.id, study.behaviour, "behaviour", " ".join(parts), in_most(len(found), n), results)


def _not_found(study: TrajectoryStudy, learnt: Learnt, courses: Sequence[Course]) -> str:
    """What was tried in these runs, and the least power over them."""
    subject = f"A checkpoint from which on {learnt.said[0].lower()}{learnt.said[1:]}"
    technique = (
        f"{learnt.tried} at {len(study.steps)} checkpoints of {', '.join(course.name for course in courses)}, against "
        f"{learnt.null}"
    )
    known = [(result, null) for course in courses for result in [learnt.last(course)] if result is not None
             for null in [result.null(learnt.null)] if null is not None]  # fmt: skip
    if not known:
        return not_found(subject, technique, None)
    power, rate = min((rate_power(result.n, null.mean), detectable_rate(null.mean)) for result, null in known)
    seen = ", ".join(f"{result.effect:.2f} against {null.mean:.2f}" for result, null in known)
    return f"{not_found(subject, technique, power, f'a rate of {rate:.2f}')[:-1]}; at the last checkpoint it is {seen}."


def steps_text(steps: Sequence[int]) -> str:
    """The mean with Student's interval, or the one step that all have."""
    if len(set(steps)) == 1:
        return str(steps[0])
    interval = mean_interval(np.array(steps, dtype=np.float64))
    assert interval is not None  # there are several
    return f"{np.mean(steps):.0f} (mean; 95 % interval {range_text(interval)})"


def range_text(interval: tuple[float, float]) -> str:
    return f"{max(interval[0], 0):.0f} to {interval[1]:.0f}"
