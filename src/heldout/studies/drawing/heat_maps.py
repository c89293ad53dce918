"""Heat maps of likeness: a grid of cells from 0 to 1, with marks on those that must not be read alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from heldout.report.html import Markup, element, joined
from heldout.studies.drawing.canvas import box, text

LARGEST, SMALLEST = 44.0, 9.0
ROW = 30.0
WRITTEN = 22.0
"""The size from which on a cell has its number in it."""
CHARACTER = 6.3
TITLED, UNTITLED, BELOW = 26.0, 6.0, 44.0
TONE = "s1"
DARK = 0.68
"""Cells stronger than this are written on in the page's own colour."""


@final
@dataclass(frozen=True)
class Shown:
    """A cell as it is drawn. `value` None: nothing was measured. `flagged`: what it stands on is marked; `within`: it is
    inside its null."""

    value: float | None
    title: str
    flagged: bool = False
    within: bool = False


@final
@dataclass(frozen=True)
class Grid:
    """A heat map: the names of its rows and columns, what they are, and the cells by (row, column)."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    row_title: str
    column_title: str
    cells: Mapping[tuple[int, int], Shown]
    room: float
    """The width that there is."""
    upwards: bool = True
    """Layers go up; models go down."""
    widest: float = LARGEST

    @property
    def left(self) -> float:
        return 26 + CHARACTER * max(len(row) for row in self.rows)

    @property
    def column(self) -> float:
        """The width of a cell."""
        return max(SMALLEST, min(self.widest, (self.room - self.left) / len(self.columns)))

    @property
    def row(self) -> float:
        """The height of a cell: squares, but where columns are wide."""
        return self.column if self.widest == LARGEST else min(self.column, ROW)

    @property
    def top(self) -> float:
        return TITLED if self.title else UNTITLED

    @property
    def bottom(self) -> float:
        return self.top + self.row * len(self.rows)

    @property
    def height(self) -> float:
        return self.bottom + BELOW


def drawn(grid: Grid, x: float, y: float) -> Markup:
    cells = [
        cell(shown, grid.left + column * grid.column, row_top(grid, row), grid.column, grid.row)
        for (row, column), shown in grid.cells.items()
    ]
    middle = grid.left + grid.column * len(grid.columns) / 2
    turned = f"translate(10 {(grid.top + grid.bottom) / 2:.0f}) rotate(-90)"
    parts = (
        text(grid.title, grid.left, 12, "label strong"),
        cells,
        row_names(grid),
        column_names(grid),
        text(grid.column_title, middle, grid.bottom + 33, "axis middle"),
        element("g", text(grid.row_title, 0, 0, "axis middle"), transform=turned),
    )
    return element("g", parts, transform=f"translate({x:.0f} {y:.0f})")


def row_top(grid: Grid, row: int) -> float:
    return grid.top + grid.row * (len(grid.rows) - 1 - row if grid.upwards else row)


def row_names(grid: Grid) -> list[Markup]:
    """Thinned out where they would touch."""
    every = -(-12 // int(grid.row))
    return [
        text(name, grid.left - 6, row_top(grid, row) + grid.row / 2 + 4, "tick end")
        for row, name in enumerate(grid.rows)
        if row % every == 0
    ]


def column_names(grid: Grid) -> list[Markup]:
    every = max(1, -(-int(CHARACTER * max(map(len, grid.columns)) + 4) // int(grid.column)))
    return [
        text(name, grid.left + (column + 0.5) * grid.column, grid.bottom + 15, "tick middle")
        for column, name in enumerate(grid.columns)
        if column % every == 0
    ]


def cell(shown: Shown, x: float, y: float, width: float, height: float) -> Markup:
    if shown.value is None:
        return box(x + 0.5, y + 0.5, width - 1, height - 1, "empty", 0.0, shown.title)
    strength = min(max(shown.value, 0.0), 1.0)
    ground = element("rect", x=x + 0.5, y=y + 0.5, width=width - 1, height=height - 1, class_="cell ground")
    parts = [ground, box(x + 0.5, y + 0.5, width - 1, height - 1, TONE, strength, shown.title)]
    if shown.within:
        parts.append(dashed(x + 1.5, y + 1.5, width - 3, height - 3, strength))
    if min(width, height) >= WRITTEN:
        parts.append(text(written(shown.value), x + width / 2, y + height / 2 + 4, contrast(strength)))
    if shown.flagged:
        parts.append(corner(x + width, y, min(width, height)))
    return joined(parts)


def dashed(x: float, y: float, width: float, height: float, strength: float) -> Markup:
    """An outline that can be seen on a cell of that strength."""
    stroke = "var(--surface)" if strength > DARK else "var(--s0)"
    style = f"fill: none; stroke: {stroke}; stroke-dasharray: 3 2"
    return element("rect", x=x, y=y, width=width, height=height, style=style)


def corner(right: float, top: float, size: float) -> Markup:
    """A triangle in the upper right corner."""
    reach = max(5.0, size * 0.3)
    x, y = right - 1, top + 1
    points = f"{x - reach:.1f},{y:.1f} {x:.1f},{y:.1f} {x:.1f},{y + reach:.1f}"
    return element("polygon", points=points, style="fill: var(--s2); stroke: var(--surface); stroke-width: 1")


def written(value: float) -> str:
    """
    >>> [written(value) for value in (1.0, 0.834, 0.004, -0.02)]
    ['1', '.83', '0', '−.02']
    """
    if value >= 0.995:
        return "1"
    rounded = f"{abs(value):.2f}".removeprefix("0")
    if rounded == ".00":
        return "0"
    return f"−{rounded}" if value < 0 else rounded


def contrast(strength: float) -> str:
    return f"cellvalue {'high' if strength > DARK else 'low'}"


def key(y: float, within: str, flagged: str | None = None) -> Markup:
    """The scale, and what the marks mean."""
    scale = [box(step * 9.0, y, 9, 11, TONE, (step + 0.5) / 10) for step in range(10)]
    ticks = [text(said, place, y + 24, "tick middle") for said, place in (("0", 3.0), ("0.5", 45.0), ("1", 88.0))]
    parts = [*scale, *ticks, dashed(120, y - 1, 13, 13, 0.0), text(within, 140, y + 10, "tick")]
    if flagged is not None:
        left = 140 + CHARACTER * len(within) + 20
        edge = element("rect", x=left, y=y - 1, width=13, height=13, style="fill: none; stroke: var(--grid)")
        parts += [edge, corner(left + 13, y - 1, 20), text(flagged, left + 20, y + 10, "tick")]
    return joined(parts)
