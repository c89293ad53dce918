"""The figure: losses along training over their phases, the other measures, and the spectrum at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from heldout.report.html import Markup, element, joined
from heldout.studies.drawing.canvas import WIDTH, Drawing, box, legend, text
from heldout.studies.drawing.curves import Frame, Line, frame_around, plot, sign, x_axis
from heldout.studies.grokking.findings import GrokkingRun, GrokkingStudy
from heldout.studies.grokking.measures import ProgressMeasures
from heldout.studies.grokking.phases import PHASES, Phase
from heldout.studies.grokking.spectrum import spectrum_drawing

TITLE = "How a model comes to add"
LEFT, GAP = 52.0, 76.0
HALF = (WIDTH - 2 * LEFT - GAP + 44) / 2
STRIP_ROW = 9.0
X_TITLE = "training step (square-root scale)"
PHASE_TONES: dict[Phase, str] = {
    "memorisation": "s1",
    "circuit formation": "s3",
    "clean-up": "s4",
    "plateau": "s0",
    "settled": "s5",
}
LOSSES = (
    ("trained pairs", "train_loss", "s1", None),
    ("other pairs", "test_loss", "s2", None),
    ("restricted to key frequencies, all pairs", "restricted", "s3", None),
    ("without key frequencies, trained pairs", "excluded_train", "s4", None),
)
LOSSES_CAPTION = (
    "Geometric mean over seeds, with its 95 % interval where there are several. Key frequencies are those of the last "
    "checkpoint. Below, the phases of each seed, from change-points in these four curves. The axis is the square root of "
    "the step."
)
MEASURES_CAPTION = (
    "Mean over seeds with its 95 % interval, of the loss the geometric mean. Shares are of the squares of W_E and W_L, and of "
    "the logits’ variance. "
    "Path order: the loss with no sublayer, with at most one, and with attention and MLP after one another."
)


def drawings(study: GrokkingStudy) -> list[Drawing]:
    """The plates of the figure, in their order; of a single checkpoint the spectrum alone."""
    along = [_losses(study), _measures(study)] if study.along_training else []
    return [*along, spectrum_drawing(study.runs)]


def _losses(study: GrokkingStudy) -> Drawing:
    lines = [Line(name, tone, study.band(quantity, logarithmic=True), dash) for name, quantity, tone, dash in LOSSES]
    frame = frame_around(lines, LEFT, 74.0, WIDTH - LEFT - 10, 300.0, logarithmic=True)
    strip, bottom = _phase_strip(study.runs, frame)
    content = joined(
        legend([(sign(each), each.name) for each in lines[:2]], 6),
        legend([(sign(each), each.name) for each in lines[2:]], 28),
        plot(frame, lines, "loss, nats"),
        strip,
        x_axis(frame, bottom, X_TITLE),
        legend([(box(0, -6, 18, 12, PHASE_TONES[phase], 0.7), phase) for phase in PHASES], bottom + 58),
    )
    name = "Losses by training step, on a logarithmic scale, and the phases of each seed"
    return Drawing("Losses and phases", name, LOSSES_CAPTION, bottom + 74, content)


def _phase_strip(runs: Sequence[GrokkingRun], frame: Frame) -> tuple[Markup, float]:
    """One row a run, under the panel; and where the last row ends."""
    top = frame.bottom + 10
    parts: list[Markup] = []
    for row, run in enumerate(runs):
        y = top + row * STRIP_ROW
        for span in run.phases:
            said = f"{run.name}: {span.phase}, steps {span.start} to {span.end}"
            start, end = frame.x(span.start), frame.x(span.end)
            parts.append(box(start, y, end - start, STRIP_ROW - 1.5, PHASE_TONES[span.phase], 0.7, said))
    middle = top + STRIP_ROW * len(runs) / 2 + 3
    parts.append(text("seeds" if len(runs) > 1 else "seed", frame.left - 6, middle, "tick end"))
    return joined(parts), top + STRIP_ROW * len(runs) + 4


def _measures(study: GrokkingStudy) -> Drawing:
    """Four panels: shares, Gini, sum of squares, path order."""
    panels = [
        ("share that lies at key frequencies", False, (
            ("W_L", "s3", _named("neuron_logit_key_share")),
            ("W_E", "s1", _named("embedding_key_share")),
            ("logits", "s2", _named("logit_variance_explained")),
        )),
        ("Gini coefficient of Fourier components", False, (
            ("W_L", "s3", _named("neuron_logit_gini")),
            ("W_E", "s1", _named("embedding_gini")),
        )),
        ("Σ w²", False, (("all weights", "s0", _named("sum_of_squares")),)),
        ("loss by path order, nats", True, (
            ("no sublayer", "s0", _order(0)),
            ("at most one", "s2", _order(1)),
            ("two", "s3", _order(2)),
        )),
    ]  # fmt: skip
    parts: list[Markup] = []
    for place, (title, logarithmic, rows) in enumerate(panels):
        lines = [Line(name, tone, study.band(read, logarithmic=logarithmic)) for name, tone, read in rows]
        left, top = LEFT + (place % 2) * (HALF + GAP), 58.0 + (place // 2) * 262
        frame = frame_around(lines, left, top, HALF, 150.0, logarithmic=logarithmic)
        named = legend([(sign(each), each.name) for each in lines], 0)
        parts += [
            element("g", named, transform=f"translate({left - 44:.0f} {top - 34:.0f})"),
            plot(frame, lines, title),
            x_axis(frame, frame.bottom + 4, X_TITLE),
        ]
    name = "Shares of key frequencies, Gini coefficients, sum of squares, and loss by path order, by training step"
    return Drawing("Structure", name, MEASURES_CAPTION, 58.0 + 262 + 150 + 50, joined(parts))


def _named(quantity: str) -> Callable[[ProgressMeasures], float]:
    return lambda measures: float(getattr(measures, quantity))


def _order(order: int) -> Callable[[ProgressMeasures], float]:
    return lambda measures: measures.order_losses[order]
