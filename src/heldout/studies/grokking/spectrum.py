"""Bars over frequencies at the last checkpoint: of one run several quantities, of several runs the logits' cosines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from heldout.report.html import Markup, joined
from heldout.report.words import percent
from heldout.studies.drawing.canvas import WIDTH, Drawing, box, line, text
from heldout.studies.drawing.digits import three_digits
from heldout.studies.grokking.findings import GrokkingRun
from heldout.studies.grokking.measures import FrequencyMeasures

LEFT, BAR_AREA, ROW = 62.0, 78.0, 130.0
KEY_TONE, OTHER_TONE = "s3", "s0"
CAPTION = (
    "Each bar is a frequency; the key frequencies are coloured and numbered. A model that adds by trigonometric identities "
    "has cosines of 2πk(a + b − c)/p in its logits at a few frequencies, and none at the others."
)


@final
@dataclass(frozen=True)
class Row:
    """A value for each frequency, with what it is."""

    title: str
    values: tuple[float, ...]
    keys: tuple[int, ...]
    shares: bool = False


def spectrum_drawing(runs: Sequence[GrokkingRun]) -> Drawing:
    rows = _rows_of_one(runs[0]) if len(runs) == 1 else [_cosines(run, f"{run.name}: cosine, logits") for run in runs]
    content = joined(_row(row, 20 + place * ROW) for place, row in enumerate(rows))
    axis = text("frequency k", (LEFT + WIDTH) / 2, 20 + len(rows) * ROW, "axis middle")
    name = "The spectrum of the last checkpoint, one bar a frequency"
    return Drawing("Spectrum at the end", name, CAPTION, 20 + len(rows) * ROW + 12, joined(content, axis))


def _rows_of_one(run: GrokkingRun) -> list[Row]:
    frequencies = run.last.frequencies

    def row(title: str, name: str, shares: bool = False) -> Row:
        return Row(title, tuple(float(getattr(each, name)) for each in frequencies), run.keys, shares)

    return [
        _cosines(run, "cosine of 2πk(a + b − c)/p, logits"),
        row("share of W_L", "neuron_logit_share", True),
        row("share of W_E", "embedding_share", True),
        row("neurons of this frequency alone", "neurons"),
        row("loss on the other pairs without this frequency, nats", "excluded_test"),
    ]


def _cosines(run: GrokkingRun, title: str) -> Row:
    return Row(title, tuple(map(_cosine, run.last.frequencies)), run.keys)


def _cosine(measures: FrequencyMeasures) -> float:
    return abs(measures.logit_cosine)


def _row(row: Row, top: float) -> Markup:
    largest = max(row.values) or 1.0
    bottom = top + 14 + BAR_AREA
    slot = (WIDTH - LEFT) / len(row.values)
    parts = [
        text(row.title, LEFT, top, "axis"),
        text(_said(largest, row.shares), LEFT - 6, bottom - BAR_AREA + 4, "tick end"),
        text("0", LEFT - 6, bottom + 4, "tick end"),
        line(LEFT, WIDTH, bottom - BAR_AREA, bottom - BAR_AREA, "grid"),
        line(LEFT, WIDTH, bottom, bottom, "zero"),
    ]
    for place, value in enumerate(row.values):
        key = place + 1 in row.keys
        height = max(0.0, value) / largest * BAR_AREA
        said = f"frequency {place + 1}: {_said(value, row.shares)}"
        x, tone = LEFT + place * slot + 1, KEY_TONE if key else OTHER_TONE
        parts.append(box(x, bottom - height, max(slot - 2, 1), height, tone, 0.8 if key else 0.5, said))
        if key:
            parts.append(text(str(place + 1), x + slot / 2 - 1, bottom + 13, "tick middle"))
    return joined(parts)


def _said(value: float, shares: bool) -> str:
    if shares:
        return percent(value)
    return str(round(value)) if value == round(value) else three_digits(value)
