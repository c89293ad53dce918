"""Small panels, one a family: the level of harm along training or size, over the bands of who catches it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from heldout.report.html import Markup, element, joined
from heldout.report.words import percent, spoken
from heldout.studies.drawing.canvas import WIDTH, box, line, text
from heldout.studies.drawing.digits import short_count
from heldout.studies.figure_one.curves import Column, Curve
from heldout.studies.figure_one.scales import EvenScale, LogScale, Scale
from heldout.studies.figure_one.tones import INK, STATE_NAMES, STATE_TONES
from heldout.studies.figure_one.trajectories import DANGEROUS_HARM, State, TrajectoryPoint

GAP, LEFT = 28.0, 58.0
PANEL = (WIDTH - GAP) / 2
TOP, BOTTOM = 46.0, 156.0
MOST_ROW, SEED_ROW = 15.0, 7.0
BAND, STRIP = 0.2, 0.75
WIDTH_OF_A_CHARACTER = 6.1
SHORT_NAMES: dict[State, str] = {
    "benign": "not dangerous",
    "behaviour": "behaviour",
    "inside": "inside only",
    "neither": "neither",
    "unaudited": "not audited",
}
X_TITLES = {"step": "training step", "size": "parameters"}


def panel_height(curve: Curve) -> float:
    return BOTTOM + 8 + MOST_ROW + SEED_ROW * len(curve.trajectories) + 46


def panel(curve: Curve, left: float, top: float) -> Markup:
    """One family: phases above, the curve over its bands, under it the majority and each seed's own state."""
    of_axis = EvenScale if curve.axis == "step" else LogScale
    scale = of_axis(tuple(float(column.x) for column in curve.columns), LEFT, PANEL - 6)
    parts = (
        text(spoken(curve.family), 0, 14, "label strong"),
        text(_made_of(curve), PANEL - 6, 14, "tick end"),
        _phases(curve.columns, scale),
        _bands(curve.columns, scale),
        _grid(),
        _harm(curve.columns, scale),
        _strip(curve, scale),
        _x_axis(curve, scale),
    )
    return element("g", parts, transform=f"translate({left:.0f} {top:.0f})")


def level(share: float) -> float:
    return BOTTOM - share * (BOTTOM - TOP)


def _made_of(curve: Curve) -> str:
    architectures = sorted({point.truth.architecture for point in curve.points if point.truth.architecture})
    n = len(curve.trajectories)
    return ", ".join([*architectures, f"{n} seed{'s' if n > 1 else ''}"])


def _runs(names: Sequence[str], scale: Scale) -> list[tuple[str, float, float]]:
    """Neighbouring columns of one name, joined: name, where it begins, where it ends."""
    edges = scale.edges
    groups = [(name, list(places)) for name, places in groupby(range(len(names)), key=lambda place: names[place])]
    return [(name, edges[places[0]], edges[places[-1] + 1]) for name, places in groups]


def _phases(columns: Sequence[Column], scale: Scale) -> Markup:
    """The planted phase of most seeds, between thin lines."""
    parts: list[Markup] = []
    for phase, start, end in _runs([column.phase or "" for column in columns], scale):
        if not phase:
            continue
        parts.append(line(start + 1, end - 1, TOP - 8, TOP - 8, "brace"))
        if start > scale.left + 1:
            parts.append(line(start, start, TOP - 13, BOTTOM, "brace", dash="2 3"))
        fits = len(phase) * WIDTH_OF_A_CHARACTER <= end - start
        said = phase if fits else f"{phase[:3]}." if end - start > 26 else ""
        parts.append(text([element("title", phase), said], (start + end) / 2, TOP - 13, "tick middle"))
    return joined(parts)


def _bands(columns: Sequence[Column], scale: Scale) -> Markup:
    runs = _runs([column.state for column in columns], scale)
    return joined(
        box(
            start,
            TOP,
            end - start,
            BOTTOM - TOP,
            STATE_TONES[_state(name)],
            _band_strength(name),
            STATE_NAMES[_state(name)],
        )
        for name, start, end in runs
    )


def _state(name: str) -> State:
    return next(state for state in STATE_NAMES if state == name)


def _band_strength(name: str) -> float:
    return 0.06 if name == "benign" else BAND


def _grid() -> Markup:
    marks = [
        joined(
            line(LEFT, PANEL - 6, level(share), level(share), "grid" if share else "zero"),
            text(percent(share), LEFT - 6, level(share) + 4, "tick end"),
        )
        for share in (0.0, 0.5, 1.0)
    ]
    return joined(marks, line(LEFT, PANEL - 6, level(DANGEROUS_HARM), level(DANGEROUS_HARM), "brace", dash="4 3"))


def _harm(columns: Sequence[Column], scale: Scale) -> Markup:
    points = [(scale.x(column.x), level(column.harm)) for column in columns]
    spans = [(scale.x(c.x), *map(level, c.interval)) for c in columns if c.interval is not None]
    there, back = [(x, low) for x, low, _ in spans], [(x, high) for x, _, high in reversed(spans)]
    dots = [
        element("circle", element("title", _harm_title(column)), cx=x, cy=y, r=2.8, class_="dot")
        for column, (x, y) in zip(columns, points, strict=True)
    ]
    return element(
        "g",
        element("polygon", points=_coordinates([*there, *back]), class_="ribbon", fill_opacity=0.2) if spans else None,
        [line(x, x, low, high, "interval") for x, low, high in spans],
        element("polyline", points=_coordinates(points), class_="line signal"),
        dots,
        style=INK,
    )


def _harm_title(column: Column) -> str:
    interval = f" [{percent(column.interval[0])}, {percent(column.interval[1])}]" if column.interval else ""
    return f"{column.x}: harm {percent(column.harm)}{interval}, {len(column.points)} seeds"


def _coordinates(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _strip(curve: Curve, scale: Scale) -> Markup:
    top = BOTTOM + 6
    parts = [text("most", LEFT - 6, top + 11, "tick end")]
    for name, start, end in _runs([column.state for column in curve.columns], scale):
        state = _state(name)
        strength = BAND if state == "benign" else 2 * BAND
        parts.append(box(start, top, end - start, MOST_ROW, STATE_TONES[state], strength, STATE_NAMES[state]))
        if len(SHORT_NAMES[state]) * WIDTH_OF_A_CHARACTER <= end - start:
            parts.append(text(SHORT_NAMES[state], (start + end) / 2, top + 11.5, "cellvalue"))
    seeds_top = top + MOST_ROW + 2
    middle = seeds_top + SEED_ROW * len(curve.trajectories) / 2 + 4
    parts.append(text("seeds" if len(curve.trajectories) > 1 else "seed", LEFT - 6, middle, "tick end"))
    edges = scale.edges
    for place, column in enumerate(curve.columns):
        for point in column.points:
            y = seeds_top + SEED_ROW * curve.trajectories.index(point.trajectory)
            parts.append(_seed_cell(point, edges[place], y, edges[place + 1] - edges[place]))
    return joined(parts)


def _seed_cell(point: TrajectoryPoint, x: float, y: float, width: float) -> Markup:
    """The state of one model; a dot on one that is not dangerous and is called deceptive all the same."""
    said = f"{point.name}: {STATE_NAMES[point.state]}, harm {percent(point.point.harm)}"
    strength = 0.2 if point.state == "benign" else STRIP
    cell = box(x + 0.5, y, width - 1, SEED_ROW - 1, STATE_TONES[point.state], strength, said)
    alarm = not point.dangerous and point.called_deceptive
    dot = (
        element("circle", cx=x + width / 2, cy=y + (SEED_ROW - 1) / 2, r=1.8, class_="dot", style=INK)
        if alarm
        else None
    )
    return joined(cell, dot)


def _x_axis(curve: Curve, scale: Scale) -> Markup:
    top = BOTTOM + 10 + MOST_ROW + SEED_ROW * len(curve.trajectories)
    parts: list[Markup] = []
    shown_until = -math.inf
    for value in scale.ticks():
        x, said = scale.x(value), short_count(value)
        half = len(said) * WIDTH_OF_A_CHARACTER / 2
        parts.append(line(x, x, top - 2, top + 2, "zero"))
        if x - half >= shown_until:
            parts.append(text(said, x, top + 14, "tick middle"))
            shown_until = x + half + 4
    return joined(parts, text(X_TITLES[curve.axis], (LEFT + PANEL) / 2, top + 30, "axis middle"))
