"""The figure: latents down, measures across; the model beside its untrained twin and what chance gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from heldout.report.html import Markup, joined
from heldout.studies.crispness.decoding import PERMUTED, WORDS
from heldout.studies.crispness.dimensions import MOST
from heldout.studies.crispness.exchange import LEVEL
from heldout.studies.crispness.findings import SELECTIVITY, CrispnessStudy, LatentFinding
from heldout.studies.drawing import Axis, Dot, DotPlot, Drawing, Row, axis_around, dot_sign, legend, null_sign, text

TITLE = "Are the variables that people use crisp inside?"
MODEL, TWIN = "s1", "s2"
LEFT, PANEL, BETWEEN = 100.0, 226.0, 44.0
ROW = 28.0
"""Of two dots: every row of every panel has both, so that rows stand beside each other."""

Value = Callable[[LatentFinding], Dot]


@final
@dataclass(frozen=True)
class Panel:
    """One measure: `dot` draws it for a model or its twin, `null` is what chance gives the model."""

    title: str
    heading: str
    axis: Axis
    dot: Value
    null: Callable[[LatentFinding], tuple[float, float] | None]
    reference: float | None = None


def drawings(study: CrispnessStudy) -> list[Drawing]:
    first = (accuracy_panel(), selectivity_panel(), flip_panel(study))
    second = (rank_panel(study), spread_panel(study), border_panel(study))
    return [
        Drawing(
            "Is it read off, is it more than words, and is it used?",
            "Accuracy, selectivity and causal effect of each latent, with nulls",
            "Each row is a latent, tested on templates and words (or documents) that nothing was fitted on. Left: accuracy of "
            "a linear readout; the grey bar goes from the mean of exchanged labels to a bag of tokens. "
            "Middle: how much more accurate it is than readouts of random labels of words; lines go over all of these. "
            "Right: by what share of their distance flipping the latent brings differing pairs nearer than agreeing pairs; "
            "the bar is the middle 95 % of random directions of the same length. Hollow: not beyond every null after "
            "correction, or less selective than a crisp latent. Other lines are 95 % intervals over templates or documents.",
            height(study),
            panels(study, first),
        ),
        Drawing(
            "How many directions does it take, and do polytope boundaries lie between?",
            "Rank, spread and boundary density ratio of each latent",
            "Left: directions that keep 95 % of the accuracy above chance, one for a readout of two values; the bar "
            "begins at the rank that random directions need; hollow at the edge: not shown to be read off. Middle: directions "
            "to remove until the latent is no longer shown to be read off; hollow: more than were tried; 0: not shown to begin "
            "with. Right: boundary density between differing pairs over that between agreeing pairs; the bar is the middle "
            "95 % of exchanges of both in whole groups; hollow: not beyond them after correction. Lines are 95 % intervals.",
            height(study),
            panels(study, second),
        ),
    ]


def height(study: CrispnessStudy) -> float:
    return 60 + ROW * len(study.found) + 44


def panels(study: CrispnessStudy, chosen: Sequence[Panel]) -> Markup:
    signs = [
        (dot_sign(MODEL), "model"),
        (dot_sign(TWIN), "untrained twin"),
        (dot_sign(MODEL, hollow=True), "hollow: not shown"),
        (null_sign(), "null"),
    ]
    parts: list[Markup] = [legend(signs, 10, LEFT)]
    for place, panel in enumerate(chosen):
        left = LEFT + place * (PANEL + BETWEEN)
        rows = [row_of(study, panel, each, named=place == 0) for each in study.found]
        plot = DotPlot(rows, panel.axis, panel.title, left, PANEL, 52, panel.reference)
        parts += [text(panel.heading, left, 42, "label strong"), plot.drawn()]
    return joined(parts)


def row_of(study: CrispnessStudy, panel: Panel, each: LatentFinding, *, named: bool) -> Row:
    dots = [panel.dot(each), replace(panel.dot(study.twin_of(each)), tone=TWIN)]
    return Row(each.latent if named else "", dots, panel.null(each), "chance")


def accuracy_panel() -> Panel:
    def dot(each: LatentFinding) -> Dot:
        title = f"{each.latent} in {each.model}: {each.accuracy:.0%} at {each.site}"
        return Dot(each.accuracy, MODEL, each.interval, title, each.p_value > LEVEL)

    def null(each: LatentFinding) -> tuple[float, float] | None:
        permuted, words = each.null(PERMUTED), each.null(WORDS)
        if permuted is None or words is None:
            return None
        return (min(permuted.mean, words.mean), max(permuted.mean, words.mean))

    return Panel("accuracy on held-out texts (fraction)", "read off", Axis(0.0, 1.0), dot, null)


def selectivity_panel() -> Panel:
    def dot(each: LatentFinding) -> Dot:
        value = each.selectivity.value
        if value is None:
            return Dot(0.0, MODEL, None, f"{each.latent}: no word recurs", True)
        title = f"{each.latent}: {each.selectivity.task:.2f} on the task, {value:.2f} above control tasks"
        spread = (
            each.selectivity.task - max(each.selectivity.controls),
            each.selectivity.task - min(each.selectivity.controls),
        )
        return Dot(value, MODEL, spread, title, value < SELECTIVITY)

    return Panel("accuracy above control tasks", "more than words", Axis(-0.5, 1.0), dot, lambda _: None, 0.0)


def flip_panel(study: CrispnessStudy) -> Panel:
    def share(each: LatentFinding, value: float) -> float:
        return value / max(each.use.flip.gap, 1e-9)

    def dot(each: LatentFinding) -> Dot:
        flip = each.use.flip
        low, high = (share(each, end) for end in flip.interval)
        title = f"{each.latent} in {each.model}: contrast {flip.value:+.4f}, p = {each.used_p_value:.2g}, corrected"
        return Dot(share(each, flip.value), MODEL, (low, high), title, each.used_p_value > LEVEL)

    def null(each: LatentFinding) -> tuple[float, float]:
        low, high = np.quantile(each.use.flip.draws, [0.025, 0.975])
        return share(each, float(low)), share(each, float(high))

    ends = [end for each in (*study.found, *study.twin) for end in (dot(each).interval or ())]
    axis = axis_around([min(2.0, max(-2.0, end)) for end in ends])
    return Panel("share of the distance between pairs", "used: flipped", axis, dot, null, 0.0)


def rank_panel(study: CrispnessStudy) -> Panel:
    most = 1000.0

    def dot(each: LatentFinding) -> Dot:
        rank = each.dimensions.rank
        if rank is None:
            return Dot(most, MODEL, None, f"{each.latent} in {each.model}: no rank", True)
        return Dot(float(rank), MODEL, None, f"{each.latent} in {each.model}: rank {rank}")

    def null(each: LatentFinding) -> tuple[float, float] | None:
        random = each.dimensions.random_rank
        return None if random is None else (float(random), most)

    return Panel("directions that suffice", "rank", Axis(1.0, most, "logarithmic"), dot, null)


def spread_panel(study: CrispnessStudy) -> Panel:
    def dot(each: LatentFinding) -> Dot:
        spread, most = each.dimensions.spread, float(MOST * each.dimensions.free)
        value = most if spread is None else float(spread)
        said = f"more than {len(each.dimensions.left) * each.dimensions.free}" if spread is None else str(spread)
        return Dot(value, MODEL, None, f"{each.latent} in {each.model}: {said}", spread is None)

    values = [dot(each).value for each in (*study.found, *study.twin)]
    return Panel("directions to remove", "spread", axis_around(values), dot, lambda _: None)


def border_panel(study: CrispnessStudy) -> Panel:
    def dot(each: LatentFinding) -> Dot:
        found = each.borders
        if found is None:
            return Dot(1.0, MODEL, None, f"{each.latent} in {each.model}: no MLP of that kind", True)
        p_value = f"p = {each.border_p_value:.2g}, corrected"
        title = f"{each.latent} in {each.model}: {found.ratio:.2f}, {p_value}, layer {found.layer}"
        return Dot(found.ratio, MODEL, found.interval, title, each.border_p_value > LEVEL)

    def null(each: LatentFinding) -> tuple[float, float] | None:
        return None if each.borders is None else each.borders.null

    ends = [end for each in (*study.found, *study.twin) if each.borders for end in each.borders.interval]
    low, high = (min([0.9, *ends]), max([1.1, *ends]))
    return Panel("boundary density, differing over agreeing", "borders", Axis(low - 0.05, high + 0.05), dot, null, 1.0)
