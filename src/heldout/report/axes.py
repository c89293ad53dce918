"""The frame of a chart: scales, axes with titles, and labels at the right end of lines that do not overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from heldout.report.html import Child, Markup, element, joined
from heldout.report.words import plain_number

WIDTH, HEIGHT = 760.0, 392.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 246.0, 40.0, 62.0
FLOOR = 11.0  # room under the lowest value, so that no mark there touches the labels
LABEL_GAP = 16.5
LONGEST_LABEL = 34


@dataclass(frozen=True)
class Frame:
    """Maps data to SVG units; y grows upwards in data and downwards in SVG."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.x_range
        return LEFT + (value - low) / ((high - low) or 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return HEIGHT - BOTTOM - FLOOR - (value - low) / ((high - low) or 1.0) * (HEIGHT - TOP - BOTTOM - FLOOR)


@dataclass(frozen=True)
class RightLabel:
    """The name of a line, wanted at height `y` and joined to the point (`x`, `y`) by a thin leader."""

    text: str
    tone: str
    x: float
    y: float
    strong: bool


def frame_for(values: Sequence[float], x_range: tuple[float, float], *, fractions: bool = True) -> Frame:
    """0 to 1 for fractions that all lie there, else rounded limits around the values that include 0."""
    low, high = min([0.0, *values]), max([0.0, *values])
    if fractions and low >= 0 and high <= 1:
        return Frame(x_range, (0.0, 1.0))
    step = nice_step(high - low)
    return Frame(x_range, (math.floor(low / step) * step, math.ceil(high / step) * step))


def nice_step(span: float, wanted: int = 5) -> float:
    """The step among 1, 2, 2.5, 5 × 10ⁿ that divides `span` into about `wanted` parts."""
    if span <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(span / wanted))
    return next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size * wanted >= span * 0.999)


def y_axis(frame: Frame, title: str) -> Markup:
    low, high = frame.y_range
    step = 0.25 if (low, high) == (0.0, 1.0) else nice_step(high - low)
    values = [low + step * index for index in range(round((high - low) / step) + 1)]
    grid = [
        element(
            "line", x1=LEFT, x2=WIDTH - RIGHT, y1=frame.y(v), y2=frame.y(v), class_="zero" if abs(v) < 1e-9 else "grid"
        )
        for v in values
    ]
    ticks = [element("text", plain_number(v), x=LEFT - 8, y=frame.y(v) + 4, class_="tick end") for v in values]
    return joined(grid, ticks, element("text", title, x=4, y=16, class_="axis"))


def group_axis(
    frame: Frame, ticks: Sequence[tuple[float, str]], groups: Sequence[tuple[float, float, str]], title: str
) -> Markup:
    """Labels of sites, and under them labels of layers; they are thinned out where they would touch."""
    base = HEIGHT - BOTTOM
    unit = frame.x(1) - frame.x(0)
    fits = bool(ticks) and unit >= 6.4 * max(len(label) for _, label in ticks) + 4
    marks = [element("text", label, x=frame.x(x), y=base + 16, class_="tick middle") for x, label in ticks if fits]
    depth = base + (33 if fits else 17)
    shown_until = -math.inf
    for start, end, label in groups:
        middle, room = (frame.x(start) + frame.x(end)) / 2, 7.0 * len(label) + 6
        if len(groups) > 1 and end > start:
            edges = {"x1": frame.x(start - 0.35), "x2": frame.x(end + 0.35)}
            marks.append(
                element("line", y1=base + (20 if fits else 3), y2=base + (20 if fits else 3), class_="brace", **edges)
            )
        if middle - room / 2 >= shown_until:
            marks.append(element("text", label, x=middle, y=depth, class_="tick middle"))
            shown_until = middle + room / 2
    return joined(marks, _x_title(title, depth + 22))


def number_axis(frame: Frame, values: Sequence[float], title: str) -> Markup:
    base = HEIGHT - BOTTOM
    marks: list[Markup] = []
    shown_until = -math.inf
    for value in sorted(set(values)):
        text, x = plain_number(value), frame.x(value)
        marks.append(element("line", x1=x, x2=x, y1=base, y2=base + 5, class_="zero"))
        if x - 4 * len(text) >= shown_until:
            marks.append(element("text", text, x=x, y=base + 20, class_="tick middle"))
            shown_until = x + 4 * len(text)
    return joined(marks, _x_title(title, base + 42))


def right_labels(frame: Frame, labels: Sequence[RightLabel]) -> Markup:
    """Labels right of the plot, in the order of the heights that they want, at least LABEL_GAP apart."""
    ordered = sorted(labels, key=lambda label: label.y)
    heights = spread([label.y for label in ordered], LABEL_GAP, TOP, HEIGHT - 12)
    edge = WIDTH - RIGHT
    marks: list[Markup] = []
    for label, height in zip(ordered, heights, strict=True):
        path = (
            f"M{label.x + 5:.1f} {label.y:.1f}L{max(edge, label.x + 6):.1f} {label.y:.1f}L{edge + 14:.1f} {height:.1f}"
        )
        marks.append(element("path", d=path, class_=f"leader {label.tone}"))
        name = f"label {label.tone}{' strong' if label.strong else ''}"
        text = label.text if len(label.text) <= LONGEST_LABEL else f"{label.text[: LONGEST_LABEL - 1]}…"
        marks.append(element("text", element("title", label.text), text, x=edge + 18, y=height + 4, class_=name))
    return joined(marks)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights as near to the (ascending) wanted ones as a gap allows, kept between `low` and `high` while there is
    room.
    """
    placed: list[float] = []
    for value in wanted:
        placed.append(max(value, low, placed[-1] + gap if placed else low))
    ceiling = max(high, low + gap * (len(placed) - 1))
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed


def svg(name: str, *children: Child) -> Markup:
    return element("svg", *children, viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", role="img", aria_label=name)


def _x_title(title: str, y: float) -> Markup:
    return element("text", title, x=(LEFT + WIDTH - RIGHT) / 2, y=y, class_="axis middle")
