"""Drawings of one width, inside a page or as a file of their own, and the words and colours that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from heldout.report.html import Child, Markup, element, joined

WIDTH = 888.0
MARGIN = 24.0
HEADING = 44.0
FONT = (
    'svg { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", Arial, sans-serif; }'
)


@dataclass(frozen=True)
class Drawing:
    """SVG content `WIDTH` wide; `name` says what it shows to those who cannot see it."""

    heading: str
    name: str
    caption: str
    height: float
    content: Markup

    def inline(self) -> Markup:
        """For a page that has the report's style sheet."""
        box = f"0 0 {WIDTH:.0f} {self.height:.0f}"
        return element("svg", self.content, viewBox=box, role="img", aria_label=self.name)


def standalone(title: str, drawings: Sequence[Drawing]) -> str:
    """One SVG file with the drawings below one another, in the colours of the page, light or dark."""
    css = files("heldout.report").joinpath("static", "report.css").read_text(encoding="utf-8")
    y = MARGIN
    parts: list[Markup] = []
    for drawing in drawings:
        parts.append(text(drawing.heading, MARGIN, y + 18, "label strong", style="font-size: 16px"))
        y += HEADING
        parts.append(element("g", drawing.content, transform=f"translate({MARGIN:.0f} {y:.0f})"))
        y += drawing.height + MARGIN
    width = WIDTH + 2 * MARGIN
    ground = element("rect", width=width, height=y, style="fill: var(--surface)")
    box = {"viewBox": f"0 0 {width:.0f} {y:.0f}", "width": width, "height": y}
    body = (element("title", title), element("style", Markup(css + FONT)), ground, parts)
    return element("svg", *body, xmlns="http://www.w3.org/2000/svg", role="img", **box) + "\n"


def text(said: Child, x: float, y: float, name: str, style: str | None = None) -> Markup:
    return element("text", said, x=x, y=y, class_=name, style=style)


def line(x1: float, x2: float, y1: float, y2: float, name: str, dash: str | None = None) -> Markup:
    return element("line", x1=x1, x2=x2, y1=y1, y2=y2, class_=name, stroke_dasharray=dash)


def box(
    x: float, y: float, width: float, height: float, tone: str, strength: float, title: str | None = None
) -> Markup:
    """A filled rectangle; of the tone `empty` only its dashed edge."""
    inside = element("title", title) if title else None
    size = {"x": x, "y": y, "width": max(width, 0.0), "height": height}
    edge = "stroke: var(--s0)" if tone == "empty" else None
    return element("rect", inside, class_=f"cell {tone}", fill_opacity=strength, style=edge, **size)


def legend(entries: Sequence[tuple[Markup, str]], y: float, left: float = 0.0) -> Markup:
    """Signs (drawn at the origin, 18 wide) with their words, in a row."""
    x = left
    parts: list[Markup] = []
    for sign, words in entries:
        parts.append(element("g", sign, transform=f"translate({x:.0f} {y:.0f})"))
        parts.append(text(words, x + 24, y + 4, "tick"))
        x += 24 + 6.1 * len(words) + 18
    return joined(parts)
