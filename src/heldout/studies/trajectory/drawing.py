"""The figure: everything that was measured, over the same axis of training steps, with the boundaries of phases across."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from heldout.data import ROLES
from heldout.report.html import Markup, element, joined
from heldout.studies.drawing import (
    WIDTH,
    Axis,
    Drawing,
    Frame,
    axis_around,
    box,
    legend,
    line,
    plot,
    short_count,
    sign,
    spans,
    text,
)
from heldout.studies.drawing.heat_maps import Grid, Shown, drawn, key
from heldout.studies.trajectory.findings import TrajectoryStudy, named_edges
from heldout.studies.trajectory.order import Onsets
from heldout.studies.trajectory.panels import Panel, panels_of
from heldout.studies.trajectory.phases import Boundary, Phases

TITLE = "What each stretch of training did"
LEFT, RIGHT, PANEL, BETWEEN = 62.0, 12.0, 92.0, 66.0
ROW = 15.0
SHOWN_EDGES = 8
CAPTION = (
    "Checkpoints stand at equal distances, whatever their steps. Lines are means over runs with Student’s 95 % interval; "
    "of a single run, with its interval over prompts. Grey lines are nulls. Grey bands say where the boundaries of phases "
    "lie (95 %), told by the curves of all runs together. Below, the phases of each run by itself, and what came first in it."
)
EDGES_CAPTION = (
    "Scores of edge attribution patching in a metric that is the same at every checkpoint: what the last checkpoint answers, "
    "less what it answers to another prompt. As shares of the largest score of the run, mean over runs; dashed where the "
    "edge does not stand out from its null in more than half of the runs."
)


def drawings(study: TrajectoryStudy) -> list[Drawing]:
    found = [_courses(study)]
    return [*found, *(_edges(study, role) for role in ROLES if named_edges(study, role, SHOWN_EDGES))]


def _courses(study: TrajectoryStudy) -> Drawing:
    across = Axis(0.0, float(max(1, len(study.steps) - 1)))
    top, parts = 46.0, list[Markup]()
    for panel in panels_of(study):
        up = panel.up or axis_around([point.mean for each in panel.lines for point in each.points])
        frame = Frame(LEFT, top, WIDTH - LEFT - RIGHT, PANEL, across, up)
        parts += [_bands(study, frame), plot(frame, panel.lines, panel.title), _refused(frame, panel)]
        parts.append(_legend(panel, frame))
        top += PANEL + BETWEEN
    strip = Frame(LEFT, top - 40, WIDTH - LEFT - RIGHT, ROW * len(study.courses), across, Axis(0.0, 1.0))
    parts += [_strip(study, strip), _steps(study.steps, strip)]
    name = "Behaviour, readouts, departures, likeness, edges and path length by training step"
    return Drawing("Along training", name, CAPTION, strip.bottom + 84, joined(parts))


def _legend(panel: Panel, frame: Frame) -> Markup:
    """Under the panel, in the colours of the lines."""
    entries = [(sign(each), each.name) for each in panel.lines]
    if panel.refused:
        entries.append((_open_mark(9.0, 0.0, None), "refused"))
    return legend(entries, frame.bottom + 16, frame.left)


def _bands(study: TrajectoryStudy, frame: Frame) -> Markup:
    places = {step: place for place, step in enumerate(study.steps)}
    edges = [(places[each.low], places[each.high], _said(each)) for each in study.phases.boundaries]
    return spans(frame, edges)


def _said(boundary: Boundary) -> str:
    return f"a boundary between steps {boundary.low} and {boundary.high}"


def _refused(frame: Frame, panel: Panel) -> list[Markup]:
    return [_open_mark(frame.x(place), frame.bottom - 6, "refused") for place in panel.refused]


def _open_mark(x: float, y: float, title: str | None) -> Markup:
    inside = element("title", title) if title else None
    style = "fill: var(--surface); stroke: var(--s0); stroke-width: 1.6"
    return element("circle", inside, cx=x, cy=y, r=4.2, style=style)


def _strip(study: TrajectoryStudy, frame: Frame) -> Markup:
    """A row a run: its phases, and from where on it was capable and overrode."""
    parts: list[Markup] = []
    for row, onsets in enumerate(study.onsets):
        y = frame.top + row * ROW
        parts += _phases(study.phases_by_run[onsets.run], study.steps, frame, y, onsets.run)
        parts += _onsets(onsets, frame, y)
    middle = frame.top + frame.height / 2 + 4
    marks = [
        (_capable(9.0, 0.0, "capable"), "from here on readable, and right where checked"),
        (_override(9.0, 0.0, "override"), "from here on says else than is read, on unverified prompts"),
    ]
    said = "runs" if len(study.courses) > 1 else "run"
    return joined(parts, text(said, frame.left - 6, middle, "tick end"), legend(marks, frame.bottom + 58, frame.left))


def _phases(phases: Phases, steps: Sequence[int], frame: Frame, y: float, run: str) -> list[Markup]:
    parts: list[Markup] = []
    for number, (start, end) in enumerate(pairwise([*phases.starts, len(steps) - 1])):
        said = f"{run}: phase {number + 1}, steps {steps[start]} to {steps[end]}"
        x = frame.x(start)
        parts.append(box(x, y, frame.x(end) - x - 1, ROW - 3, "s0", (0.18, 0.42)[number % 2], said))
    return parts


def _onsets(onsets: Onsets, frame: Frame, y: float) -> list[Markup]:
    parts: list[Markup] = []
    for place, mark, said in ((onsets.capable, _capable, "capable"), (onsets.override, _override, "overrides")):
        if place is not None:
            title = f"{onsets.run}: {said} from step {onsets.steps[place]} on"
            parts.append(mark(frame.x(place), y + ROW / 2 - 1.5, title))
    return parts


def _capable(x: float, y: float, title: str) -> Markup:
    return element("circle", element("title", title), cx=x, cy=y, r=4.4, class_="dot s3")


def _override(x: float, y: float, title: str) -> Markup:
    points = f"{x - 5:.1f},{y + 4.5:.1f} {x + 5:.1f},{y + 4.5:.1f} {x:.1f},{y - 5:.1f}"
    return element("polygon", element("title", title), points=points, class_="dot s2")


def _steps(steps: Sequence[int], frame: Frame) -> Markup:
    """The step of every checkpoint, thinned out where they would touch."""
    parts: list[Markup] = []
    shown_until = -math.inf
    for place, step in enumerate(steps):
        x, said = frame.x(place), short_count(float(step)) if step >= 10_000 else str(step)
        half = 3.2 * len(said)
        if x - half >= shown_until:
            parts += [
                line(x, x, frame.bottom, frame.bottom + 4, "zero"),
                text(said, x, frame.bottom + 17, "tick middle"),
            ]
            shown_until = x + half + 6
    middle = (frame.left + frame.right) / 2
    return joined(parts, text("training step of each checkpoint", middle, frame.bottom + 34, "axis middle"))


def _edges(study: TrajectoryStudy, role: str) -> Drawing:
    names = named_edges(study, role, SHOWN_EDGES)
    columns = [str(step) for step in study.steps]
    cells = {
        (row, column): _edge_cell(study, role, edge, column)
        for row, edge in enumerate(names)
        for column in range(len(columns))
    }
    grid = Grid("", names, columns, "", "training step", cells, WIDTH, upwards=False, widest=64.0)
    content = joined(drawn(grid, 0, 0), key(grid.height + 6, "does not stand out from its null"))
    title = f"Edges that carry what it says in the end, {role} prompts"
    return Drawing(title, f"{title}, by checkpoint", EDGES_CAPTION, grid.height + 40, content)


def _edge_cell(study: TrajectoryStudy, role: str, edge: str, place: int) -> Shown:
    shares: list[float] = []
    present: list[bool] = []
    for (_, each), circuit in study.circuits.items():
        if each == role and edge in circuit.edges:
            column = circuit.edges.index(edge)
            score = circuit.scores[place, column]
            if math.isfinite(score):
                shares.append(abs(float(score)) / circuit.largest)
                present.append(bool(circuit.present[place, column]))
    value = sum(shares) / len(shares) if shares else None
    said = "not measured" if value is None else f"{value:.2f} of the largest score"
    return Shown(value, f"{edge}, step {study.steps[place]}: {said}", within=2 * sum(present) <= len(present))
