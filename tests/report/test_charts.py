import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from heldout.report.axes import LABEL_GAP, frame_for, nice_step, spread
from heldout.report.charts import Effect, Line, Point, effect_chart, heat_map, line_chart
from heldout.report.html import element, joined, table
from heldout.report.sites import site_axis


def test_text_is_escaped_and_markup_is_not():
    assert element("p", "<b>", element("i", "&")) == "<p>&lt;b&gt;<i>&amp;</i></p>"
    assert element("p", title='"><script>') == '<p title="&quot;&gt;&lt;script&gt;"></p>'
    assert joined(["<", [None, "a"]]) == "&lt;a"
    assert "&lt;h&gt;" in table(["<h>"], [["<d>"]])


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_spread_keeps_order_gap_and_bounds(count):
    for wanted in ([100.0] * count, [i * 3.0 for i in range(count)], [390.0] * count):
        placed = spread(wanted, LABEL_GAP, 40, 380)
        assert all(later - earlier >= LABEL_GAP - 1e-9 for earlier, later in pairwise(placed))
        assert placed[0] >= 40 - 1e-9
        assert placed[-1] <= 380 + 1e-9


def test_labels_that_do_not_touch_stay_where_they_are():
    assert spread([50, 100, 200], 16, 40, 380) == [50, 100, 200]


def test_a_frame_maps_its_range_onto_the_plot_and_y_upwards():
    frame = frame_for([0.2, 0.9], (0, 10))
    assert frame.y_range == (0.0, 1.0)
    assert frame.y(1) < frame.y(0)
    assert frame.x(10) > frame.x(0)
    assert frame.x(5) == pytest.approx((frame.x(0) + frame.x(10)) / 2)


@pytest.mark.parametrize("values", [[-0.4, 0.3], [3.4, 12.0], [0.0], [-7.0, -2.0], [1e-6]])
def test_a_frame_holds_all_values_and_zero(values):
    low, high = frame_for(values, (0, 1), fractions=False).y_range
    assert low <= min([0, *values])
    assert high >= max([0, *values])


@pytest.mark.parametrize("span", [0.003, 0.7, 1, 9, 12, 4321])
def test_a_nice_step_gives_a_readable_number_of_ticks(span):
    assert 2 <= span / nice_step(span) <= 5.01


def test_sites_are_in_the_order_of_computation():
    sites = [
        "logits",
        "resid_post.1",
        "mlp_out.0",
        "resid_pre.0",
        "resid_mid.0",
        "embed",
        "resid_post.0",
        "resid_pre.10",
    ]
    assert site_axis(sites).sites == (
        "embed", "resid_pre.0", "resid_mid.0", "mlp_out.0", "resid_post.0", "resid_post.1", "resid_pre.10", "logits",
    )  # fmt: skip
    assert site_axis(["head_out.0.10", "head_out.0.2"]).sites == ("head_out.0.2", "head_out.0.10")


def numbers_of(markup, attribute):
    return [float(value) for value in re.findall(rf' {attribute}="(-?[\d.]+)"', markup)]


def test_a_line_lies_where_its_numbers_say():
    axis = site_axis([f"resid_post.{layer}" for layer in range(3)])
    line = Line("accuracy", "s1", (Point(0, 0.0), Point(1, 0.5), Point(2, 1.0)))
    chart = line_chart([line], axis, x_title="layer", y_title="fraction")
    frame = frame_for([], (-0.4, 2.4))
    assert numbers_of(chart, "cy") == pytest.approx([frame.y(0), frame.y(0.5), frame.y(1)], abs=0.01)
    assert numbers_of(chart, "cx") == pytest.approx([frame.x(0), frame.x(1), frame.x(2)], abs=0.01)
    assert "accuracy" in chart
    assert "fraction" in chart


def test_a_mark_at_the_lowest_value_does_not_touch_the_labels_under_it():
    axis = site_axis(["resid_pre.0", "resid_post.0"])
    chart = effect_chart(
        [Effect(0, 0.0, "removal", "s1"), Effect(1, 1.0, "removal", "s1")], axis, x_title="", y_title=""
    )
    bottom_of_mark = max(float(y) + 6.5 for y in re.findall(r'd="M[\d.]+ ([\d.]+)l6.5 6.5l-6.5 6.5', chart)) + 6.5
    tick_baselines = [float(y) for y in re.findall(r'y="([\d.]+)" class="tick middle"', chart)]
    assert bottom_of_mark + 11.5 < min(tick_baselines)


def test_every_random_direction_is_drawn_once():
    axis = site_axis(["resid_post.0", "resid_post.1"])
    random = tuple(index / 40 for index in range(20))
    chart = effect_chart([Effect(0, 0.9, "mean difference", "s1", random=random)], axis, x_title="x", y_title="y")
    frame = frame_for([], (-0.5, 1.5))
    assert chart.count('class="random"') == 20
    assert numbers_of(chart, "cy") == pytest.approx([frame.y(value) for value in random], abs=0.01)
    assert all(abs(x - frame.x(0)) < frame.x(1) - frame.x(0) for x in numbers_of(chart, "cx"))


def test_a_heat_map_shows_each_value_and_says_which_are_not_measured():
    axis = site_axis(["resid_post.0", "resid_post.1"])
    values = {("resid_post.0", -1): 0.25, ("resid_post.1", -1): 1.0, ("resid_post.1", -2): 0.5}
    chart = heat_map(axis, (-2, -1), [("readout", "s1", values), ("null", "s1", {})])
    assert {">.25<", ">1<", ">.50<"} <= set(re.findall(r">[.\d]+<", chart))
    assert chart.count("not measured") == 5
    assert (
        chart.index("resid_post.1, position −1") < chart.index("resid_post.0, position −1") if "−1:" in chart else True
    )


@pytest.mark.parametrize("count", [1, 2, 40, 240])
def test_labels_of_sites_do_not_touch(count):
    """Each label is given 7 units a character, more than the widest figure takes at 11.5 pixels."""
    axis = site_axis([f"{name}.{layer}" for layer in range(count) for name in ("resid_pre", "resid_post")])
    lines = [Line("a", "s1", tuple(Point(axis.x(site), 0.5) for site in axis.sites))]
    chart = line_chart(lines, axis, x_title="layer", y_title="fraction")
    found = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="tick middle">([^<]+)</text>', chart)
    assert found
    for height in {y for _, y, _ in found}:
        row = [(float(x), text) for x, y, text in found if y == height]
        ends = [(x - 3.3 * len(text), x + 3.3 * len(text)) for x, text in row]
        assert all(left[1] <= right[0] for left, right in pairwise(ends))


def test_charts_are_well_formed():
    axis = site_axis(["resid_post.0"])
    line = Line("a & b <i>", "s1", (Point(0, 0.5, 0.4, 0.6),))
    null = Line("permuted", "s1", (Point(0, 0.1, None, 0.2),), "band")
    open_elements: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            open_elements.append(tag)

        def handle_endtag(self, tag):
            assert open_elements.pop() == tag

        def handle_startendtag(self, tag, attrs):
            pass

    Parser().feed(line_chart([line, null], axis, x_title="x", y_title="y"))
    assert open_elements == []
