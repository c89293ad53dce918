"""The figure: weights by component, tokens that activations are pushed to, divergence along the text, and shares."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.report.html import Markup, element, joined
from heldout.report.words import p_value_text
from heldout.studies.diff.claims import beyond_shares
from heldout.studies.diff.divergence import Divergence
from heldout.studies.diff.findings import ModelDiff
from heldout.studies.diff.interchange import Share
from heldout.studies.diff.weight_deltas import Spectrum
from heldout.studies.drawing import (
    WIDTH,
    Axis,
    BandPoint,
    Dot,
    DotPlot,
    Drawing,
    Line,
    Row,
    axis_around,
    dot_sign,
    frame_around,
    legend,
    null_sign,
    plot,
    sign,
    three_digits,
    x_axis,
)

TITLE = "What a fine-tune changed"
LEFT, HALF = 104.0, 440.0
TOKENS, MATRICES, REFERENCES_DRAWN = 16, 14, 8
SHORTENED = 24

WEIGHTS_CAPTION = (
    "Left, how far the weights of each component moved, relative to how large they were, beside the range of the references. "
    "Right, the matrices that moved most: the share of the squared change that lies in its four largest singular directions, "
    "beside what random matrices of the same shape have. Training changes few directions whatever it teaches: the right panel "
    "says how a change is spread, and not that it is of interest. Filled dots lie beyond the range of the references one by "
    "one; whether the weights as a whole moved further is asked above, at a stricter level: many components have many chances."
)
TOKENS_CAPTION = (
    "The mean difference of activations at the first tokens of text, read through the base’s final norm and unembedding: the "
    "tokens that it pushes up most, with 95 % intervals over texts. Grey: the range of the references’ push of the same token. "
    "Filled: beyond them, token by token, of tokens that were chosen for their size. Whether activations as a whole moved "
    "further than in the references is asked above."
)
DIVERGENCE_CAPTION = (
    "KL(tuned ‖ base) of the next token at each position, mean over prompts with its 95 % interval. Grey: the references. "
    "A suite’s prompts end where the answer is due, at different places."
)
SHARES_CAPTION = (
    "How much of the change of behaviour goes with each component: put into the base (what it brings), and taken out of the "
    "tuned model (what goes with it), with 95 % intervals over prompts. Shares need not add up to 1, as components work "
    "together: the green dots say what all components up to here bring together. Grey: random changes of the same size. "
    "Hollow: not beyond them, corrected over components."
)


def drawings(study: ModelDiff) -> list[Drawing]:
    """The plates of the figure, in their order; those that there is something for."""
    plates = [weights_plate(study)] if study.spectra else []
    if study.tuned.lens and study.tuned.lens[0].shift > 0:
        plates.append(tokens_plate(study))
    if any(each.mean > 0 for each in study.tuned.divergences):
        plates.append(divergence_plate(study))
    return [*plates, *(shares_plate(study, kind) for kind in ("weights", "outputs") if study.shares_of(kind))]


def weights_plate(study: ModelDiff) -> Drawing:
    rows: list[Row] = []
    for delta in study.tuned.deltas:
        others = [
            other.relative_norm for each in study.references if (other := each.delta(delta.component)) is not None
        ]
        within = bool(others) and delta.relative_norm <= max(others)
        dot = Dot(
            delta.relative_norm, "s1", title=f"{delta.component}: {three_digits(delta.relative_norm)}", hollow=within
        )
        rows.append(Row(delta.component, [dot], span(others), "references"))
    moved = sorted(study.spectra, key=lambda each: -each.relative_norm)[:MATRICES]
    spread = [matrix_row(each) for each in moved]
    axis = axis_around([v for row in rows for v in (*(dot.value for dot in row.dots), *(row.null or ()))])
    left = DotPlot(rows, axis, "norm of the change / norm of the weights", LEFT, 230.0, top=30.0)
    right = DotPlot(spread, Axis(0, 1), "share of the change in four directions", LEFT + HALF + 60, 230.0, top=30.0)
    entries = [
        (dot_sign("s1"), "change of a component"),
        (dot_sign("s2"), "share of a matrix"),
        (null_sign(), "references; random matrices"),
        (dot_sign("s1", hollow=True), "not beyond references"),
    ]
    height = max(left.height, right.height)
    name = "Relative change by component, and how concentrated the change of each matrix is"
    return Drawing("Weights", name, WEIGHTS_CAPTION, height, joined(legend(entries, 8), left.drawn(), right.drawn()))


def matrix_row(each: Spectrum) -> Row:
    title = f"effective rank {each.effective_rank:.1f}, of random matrices {each.random_rank:.1f}"
    null = (each.random_share.mean, each.random_share.maximum)
    return Row(shortened(each.parameter), [Dot(each.top_share, "s2", title=title)], null, "random matrices")


def tokens_plate(study: ModelDiff) -> Drawing:
    reading = study.tuned.lens[0]
    rows: list[Row] = []
    for token in reading.tokens[:TOKENS]:
        others = [float(reference.lens[0].pushes[token.token]) for reference in study.references]
        within = bool(others) and token.push <= max(others)
        dot = Dot(token.push, "s1", token.interval, f"{token.text}: {token.push:+.3f} logits", hollow=within)
        rows.append(Row(token.text, [dot], span(others), "references"))
    values = [v for row in rows for dot in row.dots for v in (dot.value, *(dot.interval or ()), *(row.null or ()))]
    panel = DotPlot(
        rows, axis_around(values), f"push at layer {reading.layer}, logits", LEFT + 40, WIDTH - LEFT - 80, top=30.0
    )
    named = legend([(dot_sign("s1"), "the fine-tune"), (null_sign(), "references"), (dot_sign("s1", hollow=True),
                    "not beyond references")], 8)  # fmt: skip
    name = "Tokens that the mean activation difference pushes up"
    return Drawing("Activations", name, TOKENS_CAPTION, panel.height, joined(named, panel.drawn()))


def divergence_plate(study: ModelDiff) -> Drawing:
    parts: list[Markup] = []
    sources = study.tuned.divergences
    width = (WIDTH - 52.0 - 80.0 * (len(sources) - 1) - 20) / len(sources)
    for place, each in enumerate(sources):
        others = [reference.divergences[place] for reference in study.references[:REFERENCES_DRAWN]]
        lines = [*(curve("a reference", "s0", other, banded=False) for other in others), curve("tuned", "s1", each)]
        frame = frame_around(
            lines, 52.0 + place * (width + 80.0), 66.0, width, 200.0, logarithmic=True, x_scale="linear"
        )
        parts += [
            plot(frame, lines, f"{each.source}: KL, nats"),
            x_axis(frame, frame.bottom + 4, "token of the prompt"),
        ]
    lines = [Line("the fine-tune", "s1", ()), *([Line("references", "s0", ())] if study.references else [])]
    named = legend([(sign(line), line.name) for line in lines], 8)
    return Drawing("Predictions", "KL divergence along the text", DIVERGENCE_CAPTION, 320.0, joined(named, parts))


def curve(name: str, tone: str, each: Divergence, *, banded: bool = True) -> Line:
    """0 is left out: the axis is logarithmic."""
    points = [BandPoint(place, mean, interval if banded and interval and interval[0] > 0 else None)
              for place, mean, interval, n in each.along() if mean > 0 and n >= 3]  # fmt: skip
    return Line(name, tone, points)


def shares_plate(study: ModelDiff, kind: str) -> Drawing:
    shares = study.shares_of(kind)
    rows = [share_row(share) for share in shares]
    values = [v for row in rows for dot in row.dots for v in (dot.value, *(dot.interval or ()), *(row.null or ()))]
    axis = axis_around([1.0, *(max(-1.0, min(2.0, value)) for value in values)])
    panel = DotPlot(rows, axis, "share of the change of behaviour", LEFT + 40, WIDTH - LEFT - 80, top=30.0)
    entries = [(dot_sign("s1"), "put into the base"), (dot_sign("s2"), "taken out of the tuned model")]
    if kind == "weights":
        entries.append((dot_sign("s3"), "all up to here, in the base"))
    entries += [(null_sign(), "random changes"), (dot_sign("s1", hollow=True), "not beyond random")]
    one = panel.x(1.0)
    whole = element("line", x1=one, x2=one, y1=panel.top, y2=panel.bottom, class_="zero")
    heading = "Behaviour by component: weights" if kind == "weights" else "Behaviour by component: outputs"
    content = joined(legend(entries, 8), whole, panel.drawn())
    return Drawing(heading, "Share of the change of behaviour by component", SHARES_CAPTION, panel.height, content)


def share_row(share: Share) -> Row:
    inserted, removed = beyond_shares(share)
    ways = (
        ("put into the base", "s1", share.inserted, share.inserted_interval, share.inserted_null, inserted),
        ("taken out", "s2", share.removed, share.removed_interval, share.removed_null, removed),
    )
    dots = [
        Dot(
            value,
            tone,
            interval,
            f"{share.component} {way}: {value:.0%}, {p_value_text(null.p_value or 1.0)}",
            not found,
        )
        for way, tone, value, interval, null, found in ways
    ]
    if share.up_to is not None:
        dots.append(Dot(share.up_to, "s3", title=f"all up to {share.component}: {share.up_to:.0%}"))
    nulls = (share.inserted_null, share.removed_null)
    low, high = min(null.mean for null in nulls), max(null.maximum for null in nulls)
    return Row(share.component, dots, (min(low, 0.0), high), "random changes of the same size")


def span(values: Sequence[float]) -> tuple[float, float] | None:
    return (min(values), max(values)) if values else None


def shortened(parameter: str) -> str:
    """The end of a parameter's path, which tells matrices apart.

    >>> shortened("model.layers.0.self_attn.q_proj.weight"), shortened("model.embed_tokens.weight")
    ('0.self_attn.q_proj', 'embed_tokens')
    """
    said = parameter.removesuffix(".weight").split(".")
    numbers = [place for place, part in enumerate(said) if part.isdigit()]
    said = said[numbers[-1] :] if numbers else said[-1:]
    return ".".join(said)[-SHORTENED:]
