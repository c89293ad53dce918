"""Curves with bands over rising steps: axes, lines, ribbons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from heldout.report.axes import nice_step
from heldout.report.html import Markup, element, joined
from heldout.studies.figure_one.canvas import line, text
from heldout.studies.figure_one.scales import short_count
from heldout.studies.grokking.bands import BandPoint
from heldout.studies.grokking.digits import power_of_ten

LOWEST = 1e-12
X_TITLE = "training step (square-root scale)"
WIDTH_OF_A_CHARACTER = 6.4


@final
@dataclass(frozen=True)
class Line:
    """A curve over seeds. `tone` is a colour of the style sheet, `dash` a pattern for lines that share one."""

    name: str
    tone: str
    points: Sequence[BandPoint]
    dash: str | None = None

    @property
    def extremes(self) -> list[float]:
        return [value for point in self.points for value in (point.mean, *(point.interval or ()))]


@final
@dataclass(frozen=True)
class Frame:
    """A panel: where it is drawn, the last step, and the values at its bottom and top, on a logarithmic scale or not."""

    left: float
    top: float
    width: float
    height: float
    last_step: int
    low: float
    high: float
    logarithmic: bool

    def x(self, step: float) -> float:
        return self.left + math.sqrt(step / max(self.last_step, 1)) * self.width

    def y(self, value: float) -> float:
        share = (self._unit(value) - self._unit(self.low)) / (self._unit(self.high) - self._unit(self.low))
        return self.top + (1 - min(1.0, max(0.0, share))) * self.height

    def _unit(self, value: float) -> float:
        return math.log10(max(value, LOWEST)) if self.logarithmic else value

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def right(self) -> float:
        return self.left + self.width


def frame_around(
    lines: Sequence[Line], left: float, top: float, width: float, height: float, *, logarithmic: bool
) -> Frame:
    """Whole powers of ten around the means of lines, or round numbers from 0 on."""
    last = max((point.step for each in lines for point in each.points), default=1)
    means = [max(point.mean, LOWEST) for each in lines for point in each.points]
    if logarithmic:
        low, high = math.floor(math.log10(min(means))), math.ceil(math.log10(max(means)))
        return Frame(left, top, width, height, last, 10.0**low, 10.0 ** max(high, low + 1), True)
    step = nice_step(max(means))
    return Frame(left, top, width, height, last, 0.0, math.ceil(max(means) / step) * step, False)


def plot(frame: Frame, lines: Sequence[Line], title: str) -> Markup:
    return joined(
        text(title, frame.left - 44, frame.top - 10, "axis"),
        _y_axis(frame),
        [_ribbon(frame, each) for each in lines],
        [_curve(frame, each) for each in lines],
    )


def x_axis(frame: Frame, top: float) -> Markup:
    """Ticks at round steps, thinned out where they would touch."""
    step = nice_step(frame.last_step, wanted=8)
    marks = [step * place for place in range(int(frame.last_step // step) + 1)]
    parts: list[Markup] = []
    shown_until = -math.inf
    for value in sorted({*marks, *(round(step / part) for part in (2, 5, 20))}):
        x, said = frame.x(value), short_count(float(value))
        half = len(said) * WIDTH_OF_A_CHARACTER / 2
        if x - half >= shown_until:
            parts += [line(x, x, top, top + 4, "zero"), text(said, x, top + 17, "tick middle")]
            shown_until = x + half + 6
    return joined(parts, text(X_TITLE, (frame.left + frame.right) / 2, top + 34, "axis middle"))


def sign(each: Line) -> Markup:
    """How a legend shows a line."""
    stroke = line(0, 18, 0, 0, "line signal", dash=each.dash)
    return element("g", stroke, class_=each.tone)


def _y_axis(frame: Frame) -> Markup:
    values = _powers(frame) if frame.logarithmic else _round_values(frame)
    marks = [
        joined(
            line(frame.left, frame.right, frame.y(value), frame.y(value), "zero" if value == frame.low else "grid"),
            text(said, frame.left - 6, frame.y(value) + 4, "tick end"),
        )
        for value, said in values
    ]
    return joined(marks)


def _powers(frame: Frame) -> list[tuple[float, str]]:
    low, high = round(math.log10(frame.low)), round(math.log10(frame.high))
    step = max(1, math.ceil((high - low) / 6))
    return [(10.0**power, power_of_ten(power)) for power in range(low, high + 1, step)]


def _round_values(frame: Frame) -> list[tuple[float, str]]:
    step = nice_step(frame.high - frame.low, wanted=4)
    count = math.floor((frame.high - frame.low) / step + 1e-9)
    return [(frame.low + place * step, f"{frame.low + place * step:.4g}") for place in range(count + 1)]


def _ribbon(frame: Frame, each: Line) -> Markup | None:
    spans = [(frame.x(p.step), *map(frame.y, p.interval)) for p in each.points if p.interval is not None]
    if not spans:
        return None
    outline = [*((x, low) for x, low, _ in spans), *((x, high) for x, _, high in reversed(spans))]
    return element("polygon", points=_coordinates(outline), class_=f"ribbon {each.tone}")


def _curve(frame: Frame, each: Line) -> Markup:
    points = [(frame.x(point.step), frame.y(point.mean)) for point in each.points]
    title = element("title", each.name)
    return element(
        "polyline", title, points=_coordinates(points), class_=f"line signal {each.tone}", stroke_dasharray=each.dash
    )


def _coordinates(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
