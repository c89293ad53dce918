"""Charts as SVG: pure functions from numbers to markup.

Colours come from the page's style sheet, so both schemes work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from heldout.report.axes import Frame, RightLabel, frame_for, group_axis, number_axis, right_labels, svg, y_axis
from heldout.report.html import Markup, element, joined
from heldout.report.sites import SiteAxis
from heldout.report.words import number

DASHES = ("5 3", "1.5 3", "8 3 2 3", "3 5", "10 4")


@dataclass(frozen=True)
class Point:
    """A value at x, with its 95 % interval (or, for a null, its mean as `y` and its largest draw as `high`)."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a chart. `tone` is a colour class (s1 … s5); a `band` is filled from `y` to `high`."""

    name: str
    tone: str
    points: tuple[Point, ...]
    kind: Literal["signal", "null", "band"] = "signal"


@dataclass(frozen=True)
class Effect:
    """The effect of an intervention at x, and what random directions of equal norm do there."""

    x: float
    y: float
    name: str
    tone: str
    low: float | None = None
    high: float | None = None
    random: tuple[float, ...] = ()
    random_range: tuple[float, float] | None = None
    others: tuple[tuple[str, float], ...] = ()
    note: str = ""


def line_chart(
    lines: Sequence[Line], axis: SiteAxis | Sequence[float], *, x_title: str, y_title: str, fractions: bool = True
) -> Markup:
    """Lines over sites (a SiteAxis) or over numbers, each named at its right end; bands and nulls lie behind."""
    values = [y for line in lines for p in line.points for y in (p.y, p.low, p.high) if y is not None]
    if isinstance(axis, SiteAxis):
        frame = frame_for(values, (-0.4, len(axis.sites) - 0.6), fractions=fractions)
        below = group_axis(frame, axis.ticks, axis.groups, x_title)
    else:
        frame = frame_for(values, (min(axis), max(axis)), fractions=fractions)
        below = number_axis(frame, axis, x_title)
    nulls = [line for line in lines if line.kind == "null"]
    order = {"band": 0, "null": 1, "signal": 2}
    marks: list[Markup] = []
    labels: list[RightLabel] = []
    for line in sorted(lines, key=lambda line: order[line.kind]):
        if not line.points:
            continue
        dash = DASHES[nulls.index(line) % len(DASHES)] if line.kind == "null" else None
        marks.append(_band(frame, line) if line.kind == "band" else _line(frame, line, dash))
        last = line.points[-1]
        y = last.y if line.kind != "band" or last.high is None else (last.y + last.high) / 2
        labels.append(RightLabel(line.name, line.tone, frame.x(last.x), frame.y(y), line.kind == "signal"))
    return svg(y_title, y_axis(frame, y_title), below, marks, right_labels(frame, labels))


def effect_chart(effects: Sequence[Effect], axis: SiteAxis, *, x_title: str, y_title: str) -> Markup:
    """Effects by site: a grey dot for each random direction, a marked diamond for the intervention."""
    values = [y for effect in effects for y in (effect.y, *effect.random, *(effect.random_range or ()))]
    frame = frame_for(values, (-0.5, len(axis.sites) - 0.5))
    names = list(dict.fromkeys(effect.name for effect in effects))
    step = 0.5 / max(1, len(names))
    marks: list[Markup] = []
    ends: dict[str, tuple[Effect, float]] = {}
    for effect in effects:
        x = effect.x + step * (names.index(effect.name) - (len(names) - 1) / 2)
        marks.append(_effect(frame, effect, x, step))
        if effect.name not in ends or ends[effect.name][0].x <= effect.x:
            ends[effect.name] = (effect, x)
    labels = [RightLabel(name, e.tone, frame.x(x) + 7, frame.y(e.y), True) for name, (e, x) in ends.items()]
    with_random = [(e, x) for e, x in ends.values() if e.random or e.random_range]
    if with_random:
        e, x = with_random[-1]
        middle = sum(e.random) / len(e.random) if e.random else sum(e.random_range or (0.0,)) / 2
        labels.append(RightLabel("random counterparts", "s0", frame.x(x) + 7, frame.y(middle), False))
    for name, (e, x) in {name: end for end in ends.values() for name in [other for other, _ in end[0].others]}.items():
        labels.append(RightLabel(name, "s0", frame.x(x) + 7, frame.y(dict(e.others)[name]), False))
    below = group_axis(frame, axis.ticks, axis.groups, x_title)
    return svg(y_title, y_axis(frame, y_title), below, marks, right_labels(frame, labels))


def heat_map(
    axis: SiteAxis, positions: Sequence[int], panels: Sequence[tuple[str, str, Mapping[tuple[str, int], float]]]
) -> Markup:
    """Panels (title, tone, value by site and position) side by side on one scale from 0 to 1; layers go up."""
    left, gap, bar, top = 84.0, 26.0, 64.0, 40.0
    row = min(26.0, max(10.0, 330 / len(axis.sites)))
    room = (760 - left - bar - gap * (len(panels) - 1)) / len(panels)
    column = min(44.0, room / len(positions))
    height = top + row * len(axis.sites) + 48
    bottom = top + row * len(axis.sites)
    marks: list[Markup] = []
    every = -(-22 // int(max(column, 1)))
    for index, (title, tone, values) in enumerate(panels):
        start = left + index * (column * len(positions) + gap)
        marks.append(element("text", title, x=start, y=top - 14, class_="label strong"))
        for up, site in enumerate(reversed(axis.sites)):
            for across, position in enumerate(positions):
                place = (start + across * column, top + up * row, column, row)
                marks.append(_cell(values.get((site, position)), place, tone, f"{site}, position {position}"))
        for across, position in enumerate(positions):
            if (len(positions) - 1 - across) % every == 0:
                x = start + (across + 0.5) * column
                marks.append(element("text", number(position), x=x, y=bottom + 16, class_="tick middle"))
        middle = start + column * len(positions) / 2
        marks.append(element("text", "position (−1 is the last token)", x=middle, y=bottom + 36, class_="axis middle"))
    skip = -(-12 // int(row))
    for up, site in enumerate(reversed(axis.sites)):
        if (len(axis.sites) - 1 - up) % skip == 0:
            marks.append(element("text", site, x=left - 8, y=top + (up + 0.5) * row + 4, class_="tick end"))
    marks.append(_scale_bar(left + len(panels) * (column * len(positions) + gap), top, bottom, panels[0][1]))
    width = left + len(panels) * (column * len(positions) + gap) + bar
    names = " beside ".join(title for title, _, _ in panels)
    return element("svg", marks, viewBox=f"0 0 {width:.0f} {height:.0f}", role="img", aria_label=names,
                   style=f"max-width:{width:.0f}px")  # fmt: skip


def bar(value: float | None, tone: str) -> Markup:
    """A small horizontal bar from 0 to 1."""
    filled = (
        None
        if value is None
        else element("rect", width=100.0 * min(max(value, 0.0), 1.0), height=8, class_=f"fill {tone}")
    )
    track = element("rect", width=100, height=8, class_="track")
    return element(
        "svg", track, filled, viewBox="0 0 100 8", class_="bar", preserveAspectRatio="none", aria_hidden="true"
    )


def _line(frame: Frame, line: Line, dash: str | None) -> Markup:
    signal = line.kind == "signal"
    points = " ".join(f"{frame.x(p.x):.1f},{frame.y(p.y):.1f}" for p in line.points)
    ribbon = [(p.x, p.low, p.high) for p in line.points if p.low is not None and p.high is not None]
    return joined(
        _area(frame, ribbon, f"ribbon {line.tone}") if signal and len(ribbon) > 1 else None,
        element(
            "polyline",
            points=points,
            class_=f"line {'signal' if signal else 'null'} {line.tone}",
            stroke_dasharray=dash,
        ),
        [_dot(frame, p, line) for p in line.points] if signal or len(line.points) == 1 else None,
    )


def _dot(frame: Frame, point: Point, line: Line) -> Markup:
    title = element("title", f"{line.name}: {number(point.y)}{f' ({point.note})' if point.note else ''}")
    radius = 3.4 if line.kind == "signal" else 2.4
    return element("circle", title, cx=frame.x(point.x), cy=frame.y(point.y), r=radius, class_=f"dot {line.tone}")


def _band(frame: Frame, line: Line) -> Markup:
    edges = [(p.x, p.y, p.high if p.high is not None else p.y) for p in line.points]
    if len(edges) == 1:
        edges = [(edges[0][0] - 0.3, *edges[0][1:]), (edges[0][0] + 0.3, *edges[0][1:])]
    return _area(frame, edges, f"band {line.tone}")


def _area(frame: Frame, edges: Sequence[tuple[float, float, float]], name: str) -> Markup:
    there = [f"{frame.x(x):.1f},{frame.y(low):.1f}" for x, low, _ in edges]
    back = [f"{frame.x(x):.1f},{frame.y(high):.1f}" for x, _, high in reversed(edges)]
    return element("polygon", points=" ".join([*there, *back]), class_=name)


def _effect(frame: Frame, effect: Effect, x: float, room: float) -> Markup:
    centre, middle = frame.x(x), frame.y(effect.y)
    spread = 0.5 * room * (frame.x(1) - frame.x(0))
    randoms = [
        element("circle", cx=centre + spread * _jitter(index), cy=frame.y(value), r=2.2, class_="random")
        for index, value in enumerate(effect.random)
    ]
    span = None
    if not effect.random and effect.random_range is not None:
        low, high = (frame.y(value) for value in effect.random_range)
        span = element("rect", x=centre - 5, y=high, width=10, height=max(low - high, 1.5), class_="random")
    interval = None
    if effect.low is not None and effect.high is not None:
        ends = {"x1": centre, "x2": centre, "y1": frame.y(effect.low), "y2": frame.y(effect.high)}
        interval = element("line", class_=f"interval {effect.tone}", **ends)
    others = [
        _square(centre, frame.y(value), element("title", f"{name}: {number(value)}")) for name, value in effect.others
    ]
    title = element("title", f"{effect.name}: {number(effect.y)}{f' ({effect.note})' if effect.note else ''}")
    diamond = element(
        "path", title, d=f"M{centre:.1f} {middle - 6.5:.1f}l6.5 6.5l-6.5 6.5l-6.5 -6.5z", class_=f"mark {effect.tone}"
    )
    return joined(span, randoms, others, interval, diamond)


def _square(x: float, y: float, title: Markup) -> Markup:
    return element("rect", title, x=x - 3, y=y - 3, width=6, height=6, class_="other")


def _jitter(index: int) -> float:
    """Between −0.5 and 0.5, spread evenly and always the same (the golden ratio's sequence)."""
    return (index * 0.618034) % 1 - 0.5


def _cell(value: float | None, place: tuple[float, float, float, float], tone: str, note: str) -> Markup:
    x, y, width, height = place
    size = {"x": x + 0.5, "y": y + 0.5, "width": width - 1, "height": height - 1}
    if value is None:
        return element("rect", element("title", f"{note}: not measured"), class_="cell empty", **size)
    strength = min(max(value, 0.0), 1.0)
    box = element(
        "rect", element("title", f"{note}: {number(value)}"), class_=f"cell {tone}", fill_opacity=strength, **size
    )
    if width < 26 or height < 13:
        return joined(element("rect", class_="cell ground", **size), box)
    text = f"{value:.2f}".removeprefix("0") if value < 0.995 else "1"
    written = element(
        "text",
        text,
        x=x + width / 2,
        y=y + height / 2 + 3.5,
        class_=f"cellvalue {'high' if strength > 0.68 else 'low'}",
    )
    return joined(element("rect", class_="cell ground", **size), box, written)


def _scale_bar(x: float, top: float, bottom: float, tone: str) -> Markup:
    height, steps = min(bottom - top, 130.0), 10
    boxes = [
        element(
            "rect",
            x=x,
            y=top + height * (1 - (step + 1) / steps),
            width=12,
            height=height / steps,
            class_=f"cell {tone}",
            fill_opacity=(step + 0.5) / steps,
        )
        for step in range(steps)
    ]
    ticks = [element("text", number(v), x=x + 18, y=top + height * (1 - v) + 4, class_="tick") for v in (0.0, 0.5, 1.0)]
    return joined(element("rect", x=x, y=top, width=12, height=height, class_="cell ground"), boxes, ticks)
