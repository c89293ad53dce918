"""Curves with bands: axes, lines, ribbons, and spans that are marked along the x-axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import final

from heldout.report.axes import nice_step
from heldout.report.html import Markup, element, joined
from heldout.studies.drawing.axes import Axis, Scale, axis_around
from heldout.studies.drawing.bands import BandPoint
from heldout.studies.drawing.canvas import box, line, text
from heldout.studies.drawing.digits import power_of_ten, short_count

WIDTH_OF_A_CHARACTER = 6.4
FEW_POINTS = 16
"""Up to so many points of a curve are marked."""


@final
@dataclass(frozen=True)
class Line:
    """A curve over seeds. `tone` is a colour of the style sheet, s0 (grey, for nulls) to s5; `dash` a pattern such as
    "4 3" for lines that share one. A point whose mean is not finite breaks the line."""

    name: str
    tone: str
    points: Sequence[BandPoint]
    dash: str | None = None


@final
@dataclass(frozen=True)
class Frame:
    """A panel: where it is drawn, in SVG units, and its axes."""

    left: float
    top: float
    width: float
    height: float
    across: Axis
    up: Axis

    def x(self, value: float) -> float:
        return self.left + self.across.share(value) * self.width

    def y(self, value: float) -> float:
        return self.top + (1 - self.up.share(value)) * self.height

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def right(self) -> float:
        return self.left + self.width


def frame_around(
    lines: Sequence[Line],
    left: float,
    top: float,
    width: float,
    height: float,
    *,
    logarithmic: bool = False,
    x_scale: Scale = "square root",
    up: Axis | None = None,
) -> Frame:
    """Round limits around the means of lines, or the axis `up`. From the least x on where x is logarithmic, else from 0."""
    xs = [point.x for each in lines for point in each.points] or [0.0, 1.0]
    across = Axis(min(xs) if x_scale == "logarithmic" else 0.0, max(xs), x_scale)
    means = (point.mean for each in lines for point in each.points)
    found = up or axis_around(means, "logarithmic" if logarithmic else "linear")
    return Frame(left, top, width, height, across, found)


def plot(frame: Frame, lines: Sequence[Line], title: str) -> Markup:
    """The panel's y-axis, with its title and unit above it, and the lines. `x_axis` draws the other axis."""
    return joined(
        text(title, frame.left - 44, frame.top - 10, "axis"),
        y_axis(frame),
        [_ribbon(frame, each) for each in lines],
        [_curve(frame, each) for each in lines],
    )


def x_axis(frame: Frame, top: float, title: str) -> Markup:
    """Ticks at round values, thinned out where they would touch."""
    parts: list[Markup] = []
    shown_until = -math.inf
    for value, said in _x_marks(frame.across):
        x = frame.x(value)
        half = len(said) * WIDTH_OF_A_CHARACTER / 2
        if x - half >= shown_until:
            parts += [line(x, x, top, top + 4, "zero"), text(said, x, top + 17, "tick middle")]
            shown_until = x + half + 6
    return joined(parts, text(title, (frame.left + frame.right) / 2, top + 34, "axis middle"))


def y_axis(frame: Frame) -> Markup:
    marks = [
        joined(
            line(
                frame.left, frame.right, frame.y(value), frame.y(value), "zero" if _is_ground(frame, value) else "grid"
            ),
            text(said, frame.left - 6, frame.y(value) + 4, "tick end"),
        )
        for value, said in frame.up.ticks()
    ]
    return joined(marks)


def spans(frame: Frame, edges: Iterable[tuple[float, float, str]], tone: str = "s0") -> Markup:
    """Stretches of the x-axis (from, to, what they are), the whole panel high, behind curves. One without length is a
    dashed line."""
    parts: list[Markup] = []
    for low, high, said in edges:
        start, end = frame.x(low), frame.x(high)
        if end - start < 1:
            stroke = line(start, start, frame.top, frame.bottom, "line null", dash="3 3")
            parts.append(element("g", element("title", said), stroke, class_=tone))
        else:
            parts.append(box(start, frame.top, end - start, frame.height, tone, 0.16, said))
    return joined(parts)


def sign(each: Line) -> Markup:
    """How a legend shows a line."""
    stroke = line(0, 18, 0, 0, "line signal", dash=each.dash)
    return element("g", stroke, class_=each.tone)


def _is_ground(frame: Frame, value: float) -> bool:
    return value == (0.0 if frame.up.low < 0 else frame.up.low)


def _x_marks(axis: Axis) -> list[tuple[float, str]]:
    if axis.scale == "logarithmic":
        low, high = math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high))
        if high - low > 6:
            return [(10.0**power, power_of_ten(power)) for power in range(low + 1, high)]
        values = [factor * 10.0**power for power in range(low, high + 1) for factor in (1, 2, 5)]
        return [(value, short_count(value)) for value in values if axis.low <= value <= axis.high]
    step = nice_step(axis.high - axis.low, wanted=8)
    first, last = math.ceil(axis.low / step), math.floor(axis.high / step + 1e-9)
    marks = {step * place for place in range(first, last + 1)}
    if axis.scale == "square root":
        marks |= {float(round(step / part)) for part in (2, 5, 20)}
    return [(value, short_count(float(value))) for value in sorted(marks)]


def _ribbon(frame: Frame, each: Line) -> Markup:
    """Bands, which end where a point has none."""
    runs = [list(run) for banded, run in groupby(each.points, lambda p: p.interval is not None) if banded]
    return joined(_band(frame, run, each.tone) for run in runs)


def _band(frame: Frame, points: Sequence[BandPoint], tone: str) -> Markup:
    edges = [(frame.x(point.x), *map(frame.y, point.interval or ())) for point in points]
    outline = [*((x, low) for x, low, _ in edges), *((x, high) for x, _, high in reversed(edges))]
    return element("polygon", points=_coordinates(outline), class_=f"ribbon {tone}")


def _curve(frame: Frame, each: Line) -> Markup:
    title = element("title", each.name)
    runs = [list(run) for finite, run in groupby(each.points, lambda p: math.isfinite(p.mean)) if finite]
    pieces = [[(frame.x(point.x), frame.y(point.mean)) for point in run] for run in runs]
    strokes = [
        element(
            "polyline",
            title,
            points=_coordinates(piece),
            class_=f"line signal {each.tone}",
            stroke_dasharray=each.dash,
        )
        for piece in pieces
    ]
    marked = len(each.points) <= FEW_POINTS or any(len(piece) == 1 for piece in pieces)
    places = [place for piece in pieces for place in piece] if marked else []
    return joined(strokes, [element("circle", title, cx=x, cy=y, r=2.6, class_=f"dot {each.tone}") for x, y in places])


def _coordinates(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
