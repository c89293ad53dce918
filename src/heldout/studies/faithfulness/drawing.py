"""The figure: how much of the answers follows the steps, by kind of test; and which step, read where."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.report.html import Markup, element, joined
from heldout.studies.drawing.axes import Axis
from heldout.studies.drawing.canvas import WIDTH, Drawing, legend, text
from heldout.studies.drawing.dots import Dot, DotPlot, Row, dot_sign, null_sign
from heldout.studies.drawing.heat_maps import Grid, Shown, drawn
from heldout.studies.faithfulness.estimates import Share
from heldout.studies.faithfulness.findings import Faithfulness, Place
from heldout.studies.faithfulness.trials import Test
from heldout.studies.faithfulness.verdicts import CausalUse

TITLE = "Is the stated reasoning the computed one?"
GAP, LEFT, HEAD, KEY = 28.0, 128.0, 30.0, 34.0
USE, FOLLOWING, NEITHER, NEEDED = "s1", "s3", "s2", "s5"
ROWS: dict[Test, str] = {
    "corruption": "wrong step",
    "interchange": "interchange",
    "hint": "hint, steps back",
    "truncation": "cut short",
    "filler": "filler words",
}
"""What the rows are called."""
USE_CAPTION = (
    "The share of answers that go by what was done to the steps; 1 is an answer that is computed from what is written. "
    "Large dots: the mean with its 95 % interval; small ones: the seeds. Grey: where nothing should be found, the range of "
    "idle words changed, activations exchanged at idle words or between questions of one answer, and an untrained model. "
    "Neither: answers that neither follow nor stay, as those of a model that notices that a step is wrong. The last rows take "
    "the steps away: an answer that changes needed them, or was thrown off by their absence, and where there are few "
    "answers some stay by chance; they are no part of causal use. A dashed circle: the test could not be done."
)
PLACES_CAPTION = (
    "The share of answers that follow one step. “on”: a wrong step, from which the model writes on by itself; “held”: a "
    "wrong step, with later steps as they were; numbers: the activations of that step and the mark behind it exchanged at the "
    "entry of that layer alone. A step that is followed “on” but not “held” acts through later steps. A layer at which "
    "nothing follows comes after the step has been read, or before it is moved."
)


def drawings(study: Faithfulness) -> list[Drawing]:
    """The plates of the figure, in their order."""
    plates = [use_plate(study), places_plate(study)]
    return [*plates, kinds_plate(study)] if any(study.kinds(group) for group in study.groups) else plates


def use_plate(study: Faithfulness) -> Drawing:
    """A panel for each group of models, two beside one another."""
    signs = legend(
        [
            (dot_sign(USE), "causal use"),
            (dot_sign(FOLLOWING), "answers that follow"),
            (dot_sign(NEITHER), "that neither follow nor stay"),
            (dot_sign(NEEDED), "that change"),
            (seed_sign(), "one seed"),
            (null_sign(), "nulls"),
        ],
        8,
    )
    content, height = in_columns([use_panel(use) for use in study.overall], 32.0)
    name = "Causal use of written steps, by group of models and kind of test"
    return Drawing("How much of the answer follows the steps", name, USE_CAPTION, height, joined(signs, content))


def use_panel(use: CausalUse) -> tuple[Markup, float]:
    rows = [use_row("causal use", use.use, USE, null_range(use))]
    rows += [use_row(ROWS[test], share, FOLLOWING, null_range(use)) for test, share in use.tests.items()]
    rows.append(use_row("neither", use.disturbed, NEITHER, None))
    idle = (0.0, use.idle.value) if use.idle.known else None
    rows += [use_row(ROWS[test], share, NEEDED, idle) for test, share in use.needed.items()]
    shares = [use.use, *use.tests.values(), use.disturbed, *use.needed.values()]
    return panel(f"{use.group}: {use.verdict.word}", rows, shares, "share of answers")


def kinds_plate(study: Faithfulness) -> Drawing:
    """Causal use of each kind of question."""
    panels: list[tuple[Markup, float]] = []
    for group in study.groups:
        uses = study.kinds(group)
        rows = [use_row(f"{use.kind}: {use.verdict.word}", use.use, USE, null_range(use)) for use in uses]
        panels.append(panel(group, rows, [use.use for use in uses], "causal use"))
    content, height = in_columns(panels, 4.0)
    caption = "Causal use by kind of question, with the verdict on each. Dots, intervals and nulls as above."
    return Drawing("By kind of question", "Causal use by kind of question", caption, height, content)


def panel(heading: str, rows: Sequence[Row], shares: Sequence[Share], title: str) -> tuple[Markup, float]:
    plot = DotPlot(rows, Axis(0.0, 1.0), title, LEFT, (WIDTH - GAP) / 2 - LEFT - 12, HEAD)
    seeds: list[Markup] = []
    middle = plot.top
    for row, share in zip(rows, shares, strict=True):
        y = middle + row.height / 2
        seeds += [seed_dot(plot.x(value), y + 8) for value in share.seeds if len(share.seeds) > 1]
        if not share.known:
            seeds.append(element("circle", cx=plot.x(0) + 14, cy=y, r=4.2, class_="s0", style=UNTESTED))
            seeds.append(text("not tested", plot.x(0) + 24, y + 4, "tick"))
        middle += row.height
    return joined(text(heading, LEFT, 14, "label strong"), plot.drawn(), seeds), plot.height


UNTESTED = "fill: none; stroke: var(--tone); stroke-dasharray: 2 2"


def use_row(name: str, share: Share, tone: str, null: tuple[float, float] | None) -> Row:
    if not share.known:
        return Row(name, (), null)
    low, high = share.interval
    title = f"{name}: {share.value:.2f} ({low:.2f} to {high:.2f}), {share.n} prompts, {len(share.seeds)} models"
    return Row(name, (Dot(share.value, tone, share.interval, title),), null, "what the nulls give")


def null_range(use: CausalUse) -> tuple[float, float] | None:
    values = [share.value for share in use.nulls.values() if share.known]
    return (min(values), max(values)) if values else None


def seed_dot(x: float, y: float) -> Markup:
    return element("circle", cx=x, cy=y, r=1.9, style="fill: var(--ink-2, currentColor)", class_="s0 dot")


def seed_sign() -> Markup:
    return seed_dot(9, 0)


def in_columns(panels: Sequence[tuple[Markup, float]], top: float) -> tuple[Markup, float]:
    """Two columns of panels, and where they end."""
    parts: list[Markup] = []
    for first in range(0, len(panels), 2):
        pair = panels[first : first + 2]
        for place, (content, _) in enumerate(pair):
            parts.append(element("g", content, transform=f"translate({place * (WIDTH + GAP) / 2:.0f} {top:.0f})"))
        top += max(height for _, height in pair) + 8
    return joined(parts), top


def places_plate(study: Faithfulness) -> Drawing:
    panels: list[tuple[Markup, float]] = []
    for group in study.groups:
        places = [place for place in study.places if place.group == group]
        if places:
            grid = places_grid(group, places)
            panels.append((drawn(grid, 0, 0), grid.height))
    content, height = in_columns(panels, 4.0)
    name = "Which step answers follow, by group of models, way of changing it, and layer"
    return Drawing("Where along the reasoning it is used", name, PLACES_CAPTION, height, content)


def places_grid(group: str, places: Sequence[Place]) -> Grid:
    layers = sorted({layer for place in places for layer in place.layers})
    cells: dict[tuple[int, int], Shown] = {}
    for row, place in enumerate(places):
        for column, share in enumerate((place.free, place.held, *(place.layers[layer] for layer in layers))):
            told = f"{share.value:.2f} of {share.n} prompts" if share.known else "not tested"
            cells[row, column] = Shown(share.value if share.known else None, f"{group}, step {place.step}: {told}")
    return Grid(
        group,
        [str(place.step) for place in places],
        ["on", "held", *map(str, layers)],
        "step",
        "text written on, text held, and layers",
        cells,
        (WIDTH - GAP) / 2,
        upwards=False,
        widest=60.0,
    )
