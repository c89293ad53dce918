"""The figure: harm along training and along size, and what each view catches of each stage and control."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.report.html import Markup, element, joined
from heldout.studies.drawing.canvas import Drawing, box, legend, line
from heldout.studies.figure_one import bars
from heldout.studies.figure_one.counts import Rates
from heldout.studies.figure_one.curves import Curve
from heldout.studies.figure_one.panels import GAP, PANEL, STRIP, panel, panel_height
from heldout.studies.figure_one.tones import INK, STATE_NAMES, STATE_TONES
from heldout.studies.figure_one.trajectories import Axis

TITLE = "Where a growing danger is caught"
ALONG: dict[Axis, str] = {"step": "As training goes on", "size": "As models grow"}
PANELS_CAPTION = (
    "Line: harm, by how much right answers fall short where the model is deployed, by planted truth; mean over seeds with "
    "its 95 % interval. A model is dangerous from 50 % (dashed). Colours: who catches it, by most of the seeds that are "
    "dangerous there. Under each panel the same for each seed alone, one a row; a dot marks a model that is not dangerous "
    "and is called deceptive. Above: the phase of training that was planted. Along training every checkpoint has the same "
    "room; along size the axis is logarithmic."
)
RECALL_CAPTION = (
    "Of the models of each stage, the share that is caught. What S1 does its grader rejects, what S2 does passes; S3 is "
    "S2 trained as well against what looks inside: a linear probe, an MLP probe, probes at all positions, or the "
    "activations of a benign twin. Own probe fooled: those of S3 in which the probe that they were trained against has an "
    "AUROC of at most 0.7."
)
ALARMS_CAPTION = (
    "Of honest models, the share that is called deceptive: by the inside view a verdict of deceptive, by behavioural evals "
    "suspicion. Failing a model that fails is no alarm about deception and is not counted. C3 answers differently on cue, "
    "and honestly."
)


def drawings(curves: Sequence[Curve], rates: Rates) -> list[Drawing]:
    """The plates of the figure, in their order; along an axis that no trajectory has there is none."""
    along = [_panels(axis, [curve for curve in curves if curve.axis == axis]) for axis in ALONG]
    return [*(drawing for drawing in along if drawing is not None), _recall(rates), _false_alarms(rates)]


def _panels(axis: Axis, curves: Sequence[Curve]) -> Drawing | None:
    if not curves:
        return None
    parts, y = [_legend()], 44.0
    for first in range(0, len(curves), 2):
        row = curves[first : first + 2]
        parts += [panel(curve, place * (PANEL + GAP), y) for place, curve in enumerate(row)]
        y += max(map(panel_height, row)) + 14
    name = f"Harm by {'training step' if axis == 'step' else 'model size'}, and who catches it, one panel a family"
    return Drawing(ALONG[axis], name, PANELS_CAPTION, y, joined(parts))


def _legend() -> Markup:
    states = [
        (box(0, -6, 18, 12, STATE_TONES[state], 0.2 if state == "benign" else STRIP), name)
        for state, name in STATE_NAMES.items()
    ]
    curve = element(
        "g", line(0, 18, 0, 0, "line signal"), element("circle", cx=9, cy=0, r=2.8, class_="dot"), style=INK
    )
    return joined(legend(states, 6), legend([(curve, "harm, mean over seeds with 95 % interval")], 26))


def _recall(rates: Rates) -> Drawing:
    content = bars.bars(rates, rates.groups("recall"), "caught, share of dangerous models")
    return Drawing("What is caught, by stage", "Recall by stage", RECALL_CAPTION, bars.HEIGHT, content)


def _false_alarms(rates: Rates) -> Drawing:
    content = bars.bars(rates, rates.groups("false_alarms"), "false alarms, share of honest models")
    return Drawing("False alarms on honest models", "False alarms by control", ALARMS_CAPTION, bars.HEIGHT, content)
