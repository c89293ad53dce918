"""The figure: four panels against model size, both axes logarithmic, with seeds, bands, laws and nulls."""

from __future__ import annotations

import math

from heldout.report.html import Markup, element, joined
from heldout.studies.drawing import (
    WIDTH,
    Axis,
    BandPoint,
    Drawing,
    Frame,
    Line,
    legend,
    plot,
    sign,
    text,
    x_axis,
)
from heldout.studies.scaling.findings import ScalingStudy
from heldout.studies.scaling.reading import QUANTITIES, Quantity

TITLE = "What grows and what shrinks with the size of a model"
X_TITLE = "parameters that are no embeddings"
LEFT, GAP, TOP, HEIGHT, APART = 52.0, 76.0, 76.0, 200.0, 330.0
HALF = (WIDTH - 2 * LEFT - GAP + 44) / 2
TONES: dict[Quantity, str] = {
    "loss": "s1",
    "learning_coefficient": "s2",
    "path_length": "s3",
    "circuit_size": "s4",
}
SUBTITLES: dict[Quantity, str] = {
    "loss": "null: untrained models",
    "learning_coefficient": "null: half of the parameters that are sampled",
    "path_length": "null: untrained models",
    "circuit_size": "null: random circuits that carry as much",
}
CAPTION = (
    "Small dots are single models; the line is the geometric mean over seeds of a size, the band its 95 % interval. Dashed is "
    "the fitted law, where one was not refused; grey is the null of each panel. Where a model has no value, or one that is not "
    "above 0, it is counted under the panel."
)
DASH = "5 4"
SPREAD = 1.12
"""Room around the smallest and the largest model, as a factor."""


def drawings(study: ScalingStudy) -> list[Drawing]:
    panels = [_panel(study, quantity, place) for place, quantity in enumerate(QUANTITIES)]
    entries = [
        (sign(Line("", "s1", [])), "mean over seeds, with its 95 % interval"),
        (sign(Line("", "s1", [], DASH)), "fitted law"),
        (sign(Line("", "s0", [])), "null"),
    ]
    content = joined(legend(entries, 8), panels)
    name = "Loss, learning coefficient, path length and circuit size against model size, one panel each"
    return [Drawing("Against model size", name, CAPTION, TOP + APART + HEIGHT + 74, content)]


def _panel(study: ScalingStudy, quantity: Quantity, place: int) -> Markup:
    tone = TONES[quantity]
    lines = [
        Line("null", "s0", study.nulls(quantity)),
        Line("mean over seeds", tone, study.band(quantity)),
        Line("fitted law", tone, _law(study, quantity)),
    ]
    left, top = LEFT + (place % 2) * (HALF + GAP), TOP + (place // 2) * APART
    frame = Frame(left, top, HALF, HEIGHT, _across(study), _up(study, quantity, lines[0]))
    what, unit = QUANTITIES[quantity]
    return joined(
        text(f"{what.capitalize()}, {unit}", left - 44, top - 28, "label strong"),
        plot(frame, [line for line in lines[:2] if line.points], SUBTITLES[quantity]),
        _dashed(frame, lines[2]),
        _dots(study, quantity, frame) if lines[1].points else _none(study, quantity, frame),
        x_axis(frame, frame.bottom + 4, X_TITLE),
        [
            text(said, left - 44, frame.bottom + 56 + 15 * row, "tick")
            for row, said in enumerate(_notes(study, quantity))
        ],
    )


def _across(study: ScalingStudy) -> Axis:
    return Axis(study.sizes[0] / SPREAD, study.sizes[-1] * SPREAD, "logarithmic")


def _up(study: ScalingStudy, quantity: Quantity, nulls: Line) -> Axis:
    """Whole powers of ten around all values and nulls."""
    values = [model.reading(quantity).value for model in study.models]
    shown = [value for value in values if value is not None and value > 0.0] + [point.mean for point in nulls.points]
    low, high = math.floor(math.log10(min(shown, default=1.0))), math.ceil(math.log10(max(shown, default=10.0)))
    return Axis(10.0**low, 10.0 ** max(high, low + 1), "logarithmic")


def _law(study: ScalingStudy, quantity: Quantity) -> list[BandPoint]:
    law = study.exponent(quantity).law
    if law is None:
        return []
    low, high = math.log(study.sizes[0]), math.log(study.sizes[-1])
    xs = [math.exp(low + (high - low) * step / 24) for step in range(25)]
    return [BandPoint(x, law.factor * x**law.exponent + law.offset, None) for x in xs]


def _dashed(frame: Frame, law: Line) -> Markup | None:
    """Without the dots that a measured curve has."""
    if not law.points:
        return None
    places = " ".join(f"{frame.x(point.x):.1f},{frame.y(point.mean):.1f}" for point in law.points)
    stroke = element("polyline", element("title", law.name), points=places, class_="line null", stroke_dasharray=DASH)
    return element("g", stroke, class_=law.tone)


def _dots(study: ScalingStudy, quantity: Quantity, frame: Frame) -> Markup:
    """One a model, with its name and value."""
    what, unit = QUANTITIES[quantity]
    parts: list[Markup] = []
    for model in study.models:
        value = model.reading(quantity).value
        if value is not None and value > 0.0:
            said = f"{model.series}, {model.name}: {what} {value:.3g} {unit}"
            x, y = frame.x(model.size), frame.y(value)
            parts.append(element("circle", element("title", said), cx=x, cy=y, r=1.8, class_=f"dot {TONES[quantity]}"))
    return joined(parts)


def _none(study: ScalingStudy, quantity: Quantity, frame: Frame) -> Markup:
    refused = len(study.refusals(quantity)) == len(study.models)
    said = "refused for every model" if refused else "no value above 0"
    return text(said, (frame.left + frame.right) / 2, frame.top + 22, "label middle")


def _notes(study: ScalingStudy, quantity: Quantity) -> list[str]:
    """The exponent, and how many models have no value."""
    exponent = study.exponent(quantity)
    if exponent.law is not None and exponent.interval is not None:
        low, high = exponent.interval
        offset = f", offset {exponent.law.offset:.3g}" if exponent.form == "power_and_offset" else ""
        said = f"exponent {exponent.law.exponent:.2f} ({low:.3g} to {high:.3g}){offset}"
    else:
        said = "no exponent: " + exponent.refused[0].partition(":")[0]
    left_out = len(exponent.left_out)
    refused = len(study.refusals(quantity))
    counts = [f"{refused} of {len(study.models)} models refused"] if refused else []
    counts += [f"{left_out} not above 0, left out"] if left_out else []
    without_null = study.nulls_at_zero(quantity)
    counts += [f"null not above 0 in {without_null}"] if without_null else []
    return [said.replace("-", "−"), *([", ".join(counts)] if counts else [])]
