"""Rows of values with their intervals, beside what chance gives: a forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from heldout.report.html import Markup, element, joined
from heldout.studies.drawing.axes import Axis
from heldout.studies.drawing.canvas import box, line, text

ROW = 26.0
APART = 9.0
"""Between the dots of one row."""


@final
@dataclass(frozen=True)
class Dot:
    """A value with its 95 % interval. `tone` is a colour of the style sheet; `hollow`: not beyond its null."""

    value: float
    tone: str
    interval: tuple[float, float] | None = None
    title: str = ""
    hollow: bool = False


@final
@dataclass(frozen=True)
class Row:
    """A name, its dots (one a model, a seed or a kind), and the range of its null, which is drawn as a grey bar."""

    name: str
    dots: Sequence[Dot]
    null: tuple[float, float] | None = None
    null_title: str = "null"

    @property
    def height(self) -> float:
        return max(ROW, APART * len(self.dots) + 10)


@final
@dataclass(frozen=True)
class DotPlot:
    """Rows below one another over one axis, which is `title`d with its unit. `reference` is marked by a line.

    `left` is where the axis begins: the names of the rows stand before it.
    """

    rows: Sequence[Row]
    axis: Axis
    title: str
    left: float
    width: float
    top: float = 8.0
    reference: float | None = 0.0

    @property
    def bottom(self) -> float:
        return self.top + sum(row.height for row in self.rows)

    @property
    def height(self) -> float:
        """With the axis below."""
        return self.bottom + 44

    def x(self, value: float) -> float:
        return self.left + self.axis.share(value) * self.width

    def drawn(self) -> Markup:
        parts: list[Markup] = [self._grid()]
        top = self.top
        for row in self.rows:
            parts.append(self._row(row, top))
            top += row.height
        return joined(parts, text(self.title, self.left + self.width / 2, self.bottom + 36, "axis middle"))

    def _grid(self) -> Markup:
        ticks = [
            joined(
                line(self.x(value), self.x(value), self.top, self.bottom, "grid"),
                text(said, self.x(value), self.bottom + 17, "tick middle"),
            )
            for value, said in self.axis.ticks(wanted=6)
        ]
        at = None if self.reference is None else self.x(self.reference)
        return joined(ticks, None if at is None else line(at, at, self.top, self.bottom, "zero"))

    def _row(self, row: Row, top: float) -> Markup:
        middle = top + row.height / 2
        null = None
        if row.null is not None:
            low, high = (self.x(end) for end in row.null)
            null = box(low, top + 3, max(high - low, 2.0), row.height - 6, "s0", 0.3, row.null_title)
        first = middle - APART * (len(row.dots) - 1) / 2
        dots = [self._dot(dot, first + APART * place) for place, dot in enumerate(row.dots)]
        return joined(text(row.name, self.left - 10, middle + 4, "label end"), null, dots)

    def _dot(self, dot: Dot, y: float) -> Markup:
        title = element("title", dot.title) if dot.title else None
        style = "fill: var(--surface); stroke: var(--tone); stroke-width: 1.6" if dot.hollow else None
        bar = None
        if dot.interval is not None:
            bar = line(self.x(dot.interval[0]), self.x(dot.interval[1]), y, y, "line null")
        mark = element("circle", title, cx=self.x(dot.value), cy=y, r=4.2, class_="dot", style=style)
        return element("g", bar, mark, class_=dot.tone)


def dot_sign(tone: str, *, hollow: bool = False) -> Markup:
    """How a legend shows a dot."""
    style = "fill: var(--surface); stroke: var(--tone); stroke-width: 1.6" if hollow else None
    return element("circle", cx=9, cy=0, r=4.2, class_=f"dot {tone}", style=style)


def null_sign() -> Markup:
    """How a legend shows the range of a null."""
    return box(0, -6, 18, 12, "s0", 0.3)
