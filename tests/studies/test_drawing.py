"""What figures of studies are drawn from: axes, curves, rows of dots."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest

from heldout.studies.drawing import (
    Axis,
    BandPoint,
    Dot,
    DotPlot,
    Line,
    Row,
    axis_around,
    frame_around,
    plot,
    spans,
    x_axis,
)


@pytest.mark.parametrize(
    ("axis", "middle"),
    [(Axis(0, 10), 5), (Axis(0, 100, "square root"), 25), (Axis(1e-4, 1, "logarithmic"), 1e-2), (Axis(-3, 1), -1)],
)
def test_the_middle_of_an_axis_is_where_its_scale_puts_it(axis: Axis, middle: float) -> None:
    assert axis.share(middle) == pytest.approx(0.5)
    assert (axis.share(axis.low), axis.share(axis.high)) == (0.0, 1.0)
    assert all(axis.low <= value <= axis.high for value, _ in axis.ticks())


def test_an_axis_holds_all_finite_values() -> None:
    axis = axis_around([math.nan, -0.3, 1.7, math.inf])
    assert axis.low <= -0.3
    assert 1.7 <= axis.high < 10
    assert axis_around([]).share(1.0) == 1.0


def test_a_curve_breaks_where_nothing_was_measured() -> None:
    points = [BandPoint(x, math.nan if x == 2 else 1.0, None) for x in range(5)]
    each = Line("loss", "s1", points)
    drawn = plot(frame_around([each], 50, 20, 300, 100), [each], "loss, nats")
    assert [len(found.split()) for found in re.findall(r'<polyline points="([^"]*)"', drawn)] == [2, 2]
    assert drawn.count("<circle") == 4


def test_a_band_breaks_where_no_interval_was_had() -> None:
    points = [BandPoint(x, 1.0, None if x == 2 else (0.5, 1.5)) for x in range(5)]
    each = Line("loss", "s1", points)
    drawn = plot(frame_around([each], 50, 20, 300, 100), [each], "loss, nats")
    assert [len(found.split()) for found in re.findall(r'<polygon points="([^"]*)"', drawn)] == [4, 4]


def test_ticks_of_steps_do_not_touch() -> None:
    frame = frame_around([Line("", "s1", [BandPoint(0, 1.0, None), BandPoint(40_000, 1.0, None)])], 50, 20, 200, 100)
    places = [float(x) for x in re.findall(r'<text x="([\d.]+)"', x_axis(frame, 130, "training step"))]
    ticks = places[:-1]
    assert len(ticks) >= 3
    assert all(later - earlier > 12 for earlier, later in pairwise(ticks))


def test_a_date_is_a_line_and_a_stretch_is_a_box() -> None:
    frame = frame_around([Line("", "s1", [BandPoint(0, 1.0, None), BandPoint(100, 1.0, None)])], 0, 0, 300, 100)
    drawn = spans(frame, [(25, 25, "a date"), (36, 64, "a stretch")])
    assert drawn.count("<line") == 1
    (box,) = re.findall(r'<rect[^>]* x="([\d.]+)"[^>]* width="([\d.]+)"', drawn)
    assert [float(number) for number in box] == pytest.approx([180, 60])


def test_dots_stand_where_their_axis_has_their_values_and_rows_have_room() -> None:
    rows = [Row("a", [Dot(0.5, "s1", (0.25, 0.75)), Dot(0.0, "s2", hollow=True)], (-0.1, 0.1)), Row("b", [])]
    chart = DotPlot(rows, Axis(-1, 1), "effect", 100, 200)
    drawn = chart.drawn()
    assert re.findall(r'cx="(\d+)"', drawn) == ["250", "200"]
    assert 'x1="225" x2="275"' in drawn
    assert chart.height > chart.bottom > sum(row.height for row in rows)
