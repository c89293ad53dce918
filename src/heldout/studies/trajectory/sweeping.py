"""One run, measured: every gauge at every checkpoint, each cell kept as it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torch import Tensor

from heldout.errors import HeldoutError, InputError, Problem
from heldout.execution.result import Result
from heldout.execution.threads import one_thread_if_small
from heldout.models import CheckpointSuite, measure_along
from heldout.models.checkpoints import Cell, CellsFailed
from heldout.models.unknown_words import unknown_words
from heldout.progress import Progress
from heldout.shapes import Int
from heldout.studies.trajectory.answers import answers_of
from heldout.studies.trajectory.asked import Asked
from heldout.studies.trajectory.behaviour import Behaviour
from heldout.studies.trajectory.coefficients import Coefficients
from heldout.studies.trajectory.courses import Course, Failed
from heldout.studies.trajectory.departures import Departures
from heldout.studies.trajectory.edges import Edges
from heldout.studies.trajectory.gauge import Gauge
from heldout.studies.trajectory.lengths import Lengths
from heldout.studies.trajectory.likeness import Likeness
from heldout.studies.trajectory.readouts import Activations, Readouts, finite_activations, layers_read
from heldout.studies.trajectory.transfer import transfers_of

MEASURED = "measured"
OPTIONAL = ("departures", "edges", "path_length")
"""What can be left out."""


@final
@dataclass(frozen=True, eq=False)
class Last:
    """What others are held against of the last checkpoint: its activations and its answers, and its digest."""

    activations: Activations
    answers: Int[Tensor, " item"]
    digest: str


def measured_run(
    suite: CheckpointSuite,
    asked: Asked,
    out: Path,
    *,
    without: Sequence[str] = (),
    coefficients: bool = False,
    progress: Progress | None = None,
) -> Course:
    """One model resident at a time. A checkpoint at which a measurement fails is named, and the others are kept."""
    last, failed = last_of(suite, asked)
    gauges = [gauge for gauge in gauges_of(asked, last, coefficients) if gauge.name not in without]
    cells: dict[int, list[Result]] = {step: [] for step in suite.steps}
    for number, gauge in enumerate(gauges):
        report = part_of(progress, number, len(gauges), f"{suite.name}: {gauge.name}, ")
        finished, missing = swept(suite, gauge, out / MEASURED, report)
        failed += missing
        for cell in finished:
            cells[cell.step] += [Result.from_json(result) for result in cell.value]
    transfers = transfers_of(suite.steps, list(cells.values()), asked.right_unverified)
    for step, found in zip(suite.steps, transfers, strict=True):
        cells[step] += [] if found is None else [found]
    return Course(
        suite.name,
        suite.steps,
        tuple(checkpoint.name for checkpoint in suite),
        tuple(checkpoint.digest for checkpoint in suite),
        tuple(tuple(cells[step]) for step in suite.steps),
        tuple(failed),
    )


def gauges_of(asked: Asked, last: Last | None, coefficients: bool) -> list[Gauge]:
    """Without what is held against the last checkpoint where that could not be read."""
    gauges: list[Gauge] = [Behaviour(asked), Departures(asked), Lengths(asked)]
    if last is None:
        gauges.append(Readouts(asked))
    else:
        gauges.append(Readouts(asked, last.activations, last.digest))
        gauges.append(Likeness(asked, last.activations, last.digest))
        gauges.append(Edges(asked, last.answers, last.digest))
    return [*gauges, Coefficients(asked)] if coefficients else gauges


def last_of(suite: CheckpointSuite, asked: Asked) -> tuple[Last | None, list[Failed]]:
    """Raises InputError for prompts in words that the run has no tokens for; what else fails is named."""
    checkpoint = suite.checkpoints[-1]
    unknown: Problem | None = None
    try:
        with checkpoint.resident() as model, one_thread_if_small(model.n_parameters):
            unknown = unknown_words(model, asked.items.texts)
            if unknown is not None:
                raise InputError(f"trajectory({suite.name!r})", unknown)
            activations = finite_activations(model, asked.tokens(model), layers_read(model))
            return Last(activations, answers_of(model, asked).tokens, checkpoint.digest), []
    except HeldoutError as error:
        if unknown is not None:
            raise
        return None, [Failed(gauge, checkpoint.name, f"the last one: {error}") for gauge in ("likeness", "edges")]


def swept(
    suite: CheckpointSuite, gauge: Gauge, out: Path, progress: Progress | None
) -> tuple[Sequence[Cell], list[Failed]]:
    try:
        return measure_along(suite, gauge.measure, out, settings=gauge.settings, progress=progress), []
    except CellsFailed as error:
        return error.finished, [Failed(gauge.name, name, str(each)) for name, each in error.failed.items()]


def part_of(progress: Progress | None, number: int, of: int, name: str) -> Progress | None:
    """The progress of one of several parts of equal length, told as that of the whole."""
    if progress is None:
        return None
    return lambda what, done, total: progress(f"{name}{what}", number * total + done, of * total)
