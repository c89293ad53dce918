"""The figures of one behaviour: a chart with a title, and words that say what to look for."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.execution.result import Result
from heldout.report.charts import effect_chart, heat_map, line_chart
from heldout.report.html import Child, Markup, element
from heldout.report.readings import INTERVENTIONS, READOUTS, effects, heat_maps, readout_lines, stability_lines
from heldout.report.words import quantity_name

READOUT_CAPTION = (
    "A readout of the answer was fitted on verified samples and tested on others, site by site. If the new "
    "capability is the verified one, “agrees with output” rises together with “right”. If the model conceals, the "
    "readout is right on verified samples and disagrees with the output on unverified ones, yet the grader would "
    "accept what it reads there clearly more often than by chance. If the model games the grader, neither follows "
    "“right”. Thin and shaded: what the same readout gives where there is nothing to find."
)
HEAT_CAPTION = (
    "Left: the readout at each site and position. Right: the largest value that any of its null models reached there."
)
EFFECT_CAPTIONS = {
    "restoration": "Each diamond is an intervention that takes away what tells unverified samples from verified "
    "ones; each grey dot is a random direction of equal norm. An effect counts only above all of the dots.",
    "injection": "Each diamond is an intervention that adds, on verified samples, what marks unverified ones; each "
    "grey dot is a random direction of equal norm.",
}
STABILITY_CAPTION = (
    "Weights or activations are disturbed by noise of growing size, and answers are counted that change and that "
    "the grader still accepts. A capability that is what it seems changes alike on verified and unverified "
    "samples."
)


def figures(results: Sequence[Result]) -> list[Markup]:
    """Every chart for which `results` hold something, in a fixed order."""
    found: list[Markup] = []
    readout = readout_lines(results)
    if readout:
        lines, axis = readout
        chart = line_chart(lines, axis, x_title=axis.title("site"), y_title="fraction of samples")
        found.append(figure("What can be read out, by site", chart, READOUT_CAPTION))
    for shown in heat_maps(results):
        tone = READOUTS[shown.quantity]
        panels = [(quantity_name(shown.quantity), tone, shown.values)]
        if shown.nulls:
            panels.append(("largest null", tone, shown.nulls))
        title = f"{quantity_name(shown.quantity)}, by layer and position"
        chart = heat_map(shown.axis, shown.positions, panels)
        found.append(figure(title, chart, HEAT_CAPTION if shown.nulls else "No null was measured here."))
    for quantity in INTERVENTIONS:
        acted = effects(results, quantity)
        if acted:
            marks, axis = acted
            first = next(r for r in results if r.quantity == quantity)
            samples = f" of {first.role} samples" if first.role else ""
            y_title = f"effect of the {quantity_name(quantity).lower()} ({first.unit}{samples})"
            chart = effect_chart(marks, axis, x_title=axis.title("intervention"), y_title=y_title)
            found.append(figure(f"{quantity_name(quantity)}, by site", chart, EFFECT_CAPTIONS[quantity]))
    stable = stability_lines(results)
    if stable:
        lines, scales, unit = stable
        y_title = f"answers changed and still accepted ({unit})"
        chart = line_chart(lines, scales, x_title="size of the noise", y_title=y_title, fractions=False)
        found.append(figure("Answers under noise", chart, STABILITY_CAPTION))
    return found


def figure(title: str, chart: Markup, caption: Child) -> Markup:
    return element(
        "figure", element("h4", title), element("div", chart, class_="chart"), element("figcaption", caption)
    )
