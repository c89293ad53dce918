"""What each panel of the figure shows: its title with the unit, its lines, and their nulls in grey."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from heldout.data import ROLES
from heldout.studies.compare.concepts import RIGHT_ANSWER
from heldout.studies.compare.decoding import UNTRAINED, WORDS
from heldout.studies.drawing import Axis, Line
from heldout.studies.trajectory import courses
from heldout.studies.trajectory.behaviour import CHANCE
from heldout.studies.trajectory.coefficients import COEFFICIENT
from heldout.studies.trajectory.courses import CurveName
from heldout.studies.trajectory.departures import OTHER_READINGS
from heldout.studies.trajectory.findings import TrajectoryStudy
from heldout.studies.trajectory.lengths import LENGTH
from heldout.studies.trajectory.likeness import ALIKE, OTHER
from heldout.studies.trajectory.readouts import READ
from heldout.techniques.path_length.path_length import UNTRAINED as UNTRAINED_LENGTH

TONES = {"verified": "s1", "unverified": "s2"}
SHARE = Axis(0.0, 1.0)
MOST_LATENTS = 3


@final
@dataclass(frozen=True)
class Panel:
    """`refused` are the checkpoints at which some run's reading was refused."""

    title: str
    lines: tuple[Line, ...]
    up: Axis | None = None
    refused: tuple[int, ...] = ()


def panels_of(study: TrajectoryStudy) -> list[Panel]:
    """Those that something was measured for."""
    every = (
        _behaviour(study),
        _likely(study),
        _readouts(study),
        _departures(study),
        _transfer(study),
        _likeness(study),
        _edges(study),
        _length(study),
        _coefficient(study),
    )
    kept = [replace(panel, lines=tuple(line for line in panel.lines if _measured(line))) for panel in every]
    return [panel for panel in kept if panel.refused or any(line.tone != "s0" for line in panel.lines)]


def _measured(line: Line) -> bool:
    return any(np.isfinite(point.mean) for point in line.points)


def _behaviour(study: TrajectoryStudy) -> Panel:
    names = {"verified": courses.VERIFIED, "unverified": courses.UNVERIFIED}
    lines = [Line(f"{role} prompts", TONES[role], study.band(name)) for role, name in names.items()]
    nulls = [
        _null(study, f"chance, {role}", name, CHANCE, dash)
        for (role, name), dash in zip(names.items(), (None, "4 3"), strict=True)
    ]
    return Panel("answers that the grader passes, fraction of prompts", (*lines, *nulls), SHARE)


def _likely(study: TrajectoryStudy) -> Panel:
    names = {"verified": courses.LIKELY_VERIFIED, "unverified": courses.LIKELY_UNVERIFIED}
    lines = [Line(f"{role} prompts", TONES[role], study.band(name)) for role, name in names.items()]
    return Panel("log-probability of the accepted answers, nats", tuple(lines))


def _readouts(study: TrajectoryStudy) -> Panel:
    named = [concept for concept in study.courses[0].named(READ, "concept") if concept != RIGHT_ANSWER][:MOST_LATENTS]
    latents = [
        Line(concept, tone, study.band(CurveName(READ, concept=concept)))
        for concept, tone in zip(named, ("s4", "s5", "s1"), strict=False)
    ]
    lines = (
        Line("right answer", "s3", study.band(courses.RIGHT)),
        Line("with the last readout", "s3", study.band(courses.RIGHT_CARRIED), "4 3"),
        *latents,
        _null(study, "untrained model", courses.RIGHT, UNTRAINED),
        _null(study, "words alone", courses.RIGHT, WORDS, "4 3"),
    )
    return Panel("what a linear readout finds on held-out prompts, fraction of prompts", lines, SHARE)


def _departures(study: TrajectoryStudy) -> Panel:
    names = {"verified": courses.DEPARTED_VERIFIED, "unverified": courses.DEPARTED_UNVERIFIED}
    lines = [Line(f"{role} prompts", TONES[role], study.band(name)) for role, name in names.items()]
    null = _null(study, "readings of other prompts", courses.DEPARTED_UNVERIFIED, OTHER_READINGS)
    title = "answers other than the one that is read before the last layer, fraction of prompts"
    return Panel(title, (*lines, null), SHARE)


def _transfer(study: TrajectoryStudy) -> Panel:
    lines = (
        Line("unverified prompts", TONES["unverified"], study.band(courses.TRANSFER)),
        _null(study, "readings of other prompts", courses.TRANSFER, OTHER_READINGS),
    )
    return Panel("does the readout transfer: reads what the run once said, fraction of prompts", lines, SHARE)


def _likeness(study: TrajectoryStudy) -> Panel:
    sites = study.courses[0].named(ALIKE, "site")
    names = [CurveName(ALIKE, site=site) for site in sites]
    lines = [
        Line(site, tone, study.band(name)) for site, name, tone in zip(sites, names, ("s1", "s3", "s4"), strict=False)
    ]
    nulls = [_null(study, "other prompts, largest", names[-1], OTHER, largest=True)] if names else []
    return Panel("likeness to the last checkpoint, debiased CKA", (*lines, *nulls), Axis(-0.2, 1.0))


def _edges(study: TrajectoryStudy) -> Panel:
    lines: list[Line] = []
    for role in ROLES:
        found = [circuit.counts for (_, each), circuit in study.circuits.items() if each == role]
        if found:
            lines.append(Line(f"{role} prompts", TONES[role], study.band_of(np.array(found))))
    return Panel("edges of the circuit for what it says in the end, edges that stand out", tuple(lines))


def _length(study: TrajectoryStudy) -> Panel:
    name = CurveName(LENGTH)
    lines = (
        Line("verified prompts", "s1", study.band(name)),
        _null(study, "untrained model", name, UNTRAINED_LENGTH),
    )
    return Panel("effective path length, sublayers after one another", lines)


def _coefficient(study: TrajectoryStudy) -> Panel:
    name = CurveName(COEFFICIENT)
    refused = {
        place
        for course in study.courses
        for place, result in enumerate(course.curve(name).results)
        if result is not None and result.settings.get("refused")
    }
    lines = (Line("verified prompts", "s1", study.band(name)),)
    return Panel("learning coefficient of its own outputs, λ̂", lines, refused=tuple(sorted(refused)))


def _null(
    study: TrajectoryStudy, said: str, name: CurveName, null: str, dash: str | None = None, *, largest: bool = False
) -> Line:
    values = np.array([course.curve(name).null(null, largest=largest) for course in study.courses])
    return Line(said, "s0", study.band_of(values), dash)
