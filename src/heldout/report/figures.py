"""The figures of one behaviour: a chart with a title, and words that say what to look for."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.execution.result import Result
from heldout.report.charts import Effect, Line, effect_chart, heat_map, line_chart
from heldout.report.html import Markup, element, joined
from heldout.report.readings import (
    INTERVENTIONS,
    READOUTS,
    HeatMap,
    effects,
    heat_maps,
    readout_lines,
    stability_lines,
)
from heldout.report.sites import SiteAxis
from heldout.report.words import in_unit, is_share, number, quantity_name, unit_text

READOUT_CAPTION = (
    "A readout of the answer was fitted on verified prompts and tested on others, site by site. If the new "
    "capability is the verified one, “agrees with output” rises together with “right”. If the model conceals, the "
    "readout is right on verified prompts and disagrees with the output on unverified ones, yet the grader would "
    "accept what it reads there clearly more often than by chance. If the model games the grader, neither follows "
    "“right”. If the answer is only renamed, the readout never agrees with the output word for word, and a one-to-one "
    "renaming does. Thin and shaded: what the same readout gives where there is nothing to find."
)
HEAT_CAPTION = (
    "Left: the readout at each site and position. Right: the largest value that anything it is compared with reached "
    "there."
)
BLANK_CAPTION = " Blank cells were not measured."
EFFECT_CAPTIONS = {
    "restoration": "Each diamond is an intervention that takes away what tells unverified prompts from verified "
    "ones; each grey dot is a random counterpart of equal size. An effect counts only above all of the dots.",
    "injection": "Each diamond is an intervention that adds, on verified prompts, what marks unverified ones; each "
    "grey dot is a random counterpart of equal size.",
}
STABILITY_CAPTION = (
    "Weights or activations are disturbed by noise of growing size, and answers are counted that change and that "
    "the grader still accepts. A capability that is what it seems changes alike on verified and unverified "
    "prompts."
)


def figures(results: Sequence[Result]) -> list[Markup]:
    """Every chart for which `results` hold something, in a fixed order; a chart with nothing in it is one sentence."""
    found: list[Markup] = []
    readout = readout_lines(results)
    if readout:
        lines, axis = readout
        chart = line_chart(lines, axis, x_title=axis.title("site"), y_title="fraction of prompts")
        shown = (chart, READOUT_CAPTION) if len(axis.sites) > 1 else None
        found.append(figure("What can be read out, by site", shown, lines_sentence(lines, ", ".join(axis.sites))))
    for readings in heat_maps(results):
        found.append(heat_figure(readings))
    for quantity in INTERVENTIONS:
        acted = effects(results, quantity)
        if acted:
            found.append(effect_figure(quantity, *acted, [r for r in results if r.quantity == quantity]))
    stable = stability_lines(results)
    if stable:
        lines, scales, unit = stable
        y_title = f"answers changed and still accepted ({unit})"
        chart = line_chart(lines, scales, x_title="size of the noise", y_title=y_title, fractions=False)
        shown = (chart, STABILITY_CAPTION) if len(scales) > 1 else None
        found.append(figure("Answers under noise", shown, lines_sentence(lines, f"noise {number(max(scales))}")))
    return found


def heat_figure(shown: HeatMap) -> Markup:
    name, tone = quantity_name(shown.quantity), READOUTS[shown.quantity]
    panels = [(name, tone, shown.values)]
    caption = "Nothing was measured to compare it with."
    if shown.nulls:
        panels.append(("largest to compare with", tone, shown.nulls))
        caption = HEAT_CAPTION
    cells = len(shown.axis.sites) * len(shown.positions)
    if any(len(values) < cells for _, _, values in panels):
        caption += BLANK_CAPTION
    chart = heat_map(shown.axis, shown.positions, panels) if any(shown.values.values()) else None
    nothing = f"0 at each of {len(shown.values)} sites and positions."
    return figure(f"{name}, by layer and position", (chart, caption) if chart else None, nothing)


def effect_figure(quantity: str, marks: Sequence[Effect], axis: SiteAxis, results: Sequence[Result]) -> Markup:
    first = results[0]
    unit = first.unit
    if first.role:
        prompts = f"{first.role} prompts"
        unit = unit.replace("prompts", prompts, 1) if is_share(unit) else f"{unit} of {prompts}"
    y_title = f"effect of the {quantity_name(quantity).lower()} ({unit})"
    chart = effect_chart(marks, axis, x_title=axis.title("intervention"), y_title=y_title)
    draws = [value for mark in marks for value in (*mark.random, *(mark.random_range or ()))]
    empty = not any([*(mark.y for mark in marks), *draws])
    shown = None if empty or len(marks) == 1 else (chart, EFFECT_CAPTIONS[quantity])
    names = ", ".join(dict.fromkeys(mark.name for mark in marks))
    if len(marks) == 1:
        random = f"; random counterparts reach {in_unit(max(draws), first.unit)}" if draws else ""
        effect = in_unit(marks[0].y, first.unit)
        sentence = f"Measured at {axis.sites[0]} alone, {names}: {effect}{unit_text(first.unit)}{random}."
    else:
        counterparts = ", and so were those of all its random counterparts" if draws else ""
        sentence = f"All effects were 0 ({names}, at {len(axis.sites)} sites){counterparts}."
    return figure(f"{quantity_name(quantity)}, by site", shown, sentence)


def lines_sentence(lines: Sequence[Line], place: str) -> str:
    """What a chart with one point a line would show."""
    said = ", ".join(f"{line.name} {number(line.points[0].y)}" for line in lines if line.points)
    return f"Measured at {place} alone: {said}."


def figure(title: str, shown: tuple[Markup, str] | None, otherwise: str) -> Markup:
    """A chart with its caption, or where there is nothing to draw the sentence `otherwise`."""
    if shown is None:
        return joined(element("h4", title), element("p", otherwise))
    chart, caption = shown
    return element(
        "figure", element("h4", title), element("div", chart, class_="chart"), element("figcaption", caption)
    )
