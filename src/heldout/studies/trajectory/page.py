"""The page of the study: what was found, the figure, the phases and what moved in them, and what could not be measured."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.evidence import Claim
from heldout.report.html import Markup, table
from heldout.studies.drawing import Drawing
from heldout.studies.pages import claim_list, section, study_page
from heldout.studies.trajectory.findings import TrajectoryStudy
from heldout.studies.trajectory.phases import DATED

COMMAND = "heldout study trajectory"
WORDS = (
    (
        "verified, unverified",
        "Of verified prompts the right answer is known; of unverified ones only what a grader passes.",
    ),
    (
        "read",
        "Decoded by a linear readout, fitted anew at each checkpoint and tried on prompts that it was not fitted on.",
    ),
    (
        "override",
        "The model says something else than what is read of it before its last layer, on unverified prompts and not on "
        "verified ones, while what is read there is what the same run once said. Without the last the readout may not transfer "
        "to unverified prompts, and an override is undetermined.",
    ),
    (
        "phase",
        "A stretch between change-points of the curves that left their null. The interval says between which "
        "checkpoints a boundary lies.",
    ),
    (
        "to stand out",
        "Of an edge: its score is beyond that of the metric with the answers of other prompts, at 5 % over all edges.",
    ),
)


def report_page(study: TrajectoryStudy, claims: Sequence[Claim], plates: Sequence[Drawing]) -> str:
    runs = f"{len(study.courses)} runs" if len(study.courses) > 1 else "one run"
    facts = (
        f"{runs} · {len(study.steps)} checkpoints from step {study.steps[0]} to {study.steps[-1]} · {study.prompts} prompts "
        f"of {study.suite}, {study.behaviour}"
    )
    return study_page(
        command=COMMAND,
        title="What each stretch of training did",
        facts=facts,
        answer=claim_list(claims),
        drawings=plates,
        sections=[
            section("The phases", _levels(study)),
            section("What came first", _onsets(study)),
            *([section("Edges", _fates(study))] if study.circuits else []),
            *([section("Not measured", _failures(study))] if study.failed else []),
        ],
        words=WORDS,
    )


def _levels(study: TrajectoryStudy) -> Markup:
    names = [name for name, _ in DATED]
    rows = [
        (str(level["phase"]), f"{level['start']} to {level['end']}", *(_number(level[name]) for name in names))
        for level in study.levels
    ]
    return table(("phase", "steps", *(f"{name}, mean" for name in names)), rows)


def _onsets(study: TrajectoryStudy) -> Markup:
    rows = [
        (
            each.run,
            *(_step(each.step(place)) for place in (each.readable, each.right)),
            each.override_in_words,
            "—" if each.ordered is None else "yes" if each.ordered else "no",
        )
        for each in study.onsets
    ]
    return table(
        ("run", "right answer readable from", "right where checked from", "override from", "capability first"), rows
    )


def _fates(study: TrajectoryStudy) -> Markup:
    rows = [
        (run, role, edge, fate)
        for (run, role), circuit in study.circuits.items()
        for edge, fate in circuit.fates.items()
    ]
    return table(("run", "prompts", "edge", "along training"), rows)


def _failures(study: TrajectoryStudy) -> Markup:
    rows = [(course.name, each.checkpoint, each.gauge, each.reason) for course, each in study.failed]
    return table(("run", "checkpoint", "measurement", "why"), rows)


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}".replace("-", "−")


def _step(value: int | None) -> str:
    return "not found" if value is None else f"step {value}"
