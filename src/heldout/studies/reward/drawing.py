"""The figure: slopes, where differences come from, what ablation does, and best-of-n."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heldout.report.html import Markup, joined
from heldout.statistics import mean_interval
from heldout.studies.drawing import (
    WIDTH,
    BandPoint,
    Dot,
    DotPlot,
    Drawing,
    Line,
    Row,
    axis_around,
    box,
    dot_sign,
    frame_around,
    legend,
    null_sign,
    plot,
    sign,
    text,
    x_axis,
)
from heldout.studies.reward.attribution_plate import attribution_plate
from heldout.studies.reward.findings import Exploited, Reading, RewardStudy
from heldout.studies.reward.pairs import QUALITY
from heldout.studies.reward.slopes import WORTH

TITLE = "What the reward model rewards"
NAMES, GAP = 150.0, 84.0
AFTER, BEFORE, EACH = "s1", "s2", "s3"
TONES = ("s2", "s3", "s4", "s5")
SLOPES_CAPTION = (
    "By how much the score changes with a unit of a feature, all else in the text alike, in units of what a unit of quality "
    "is worth. Dots with 95 % intervals over groups of test pairs (the mean’s: over models and groups). Grey: what 95 % of "
    "random orientations of the same pairs give. Framed: slopes too small to matter, by the study’s margin. Where the slope of "
    "quality was not found there is no such unit, and slopes are told in units of the score."
)
ABLATION_CAPTION = (
    "The slope before (hollow) and after (full) the feature’s direction is taken out of the stream, in units of the score "
    "before (after, by as many units of quality as it then is worth), with the 95 % interval over groups of test pairs. Grey: "
    "where it ends when random directions of the same length are taken out instead. On the right, the share of pairs in which "
    "the better text still has the higher score. Direction, place and strength come from other pairs than these."
)
BEST_CAPTION = (
    "What the best of n candidates by score has, beyond the mean candidate, in standard deviations of the candidates; exact "
    "over all choices of n. Bands: 95 % over prompts (over models, where there are several). Left: by the score as it is. "
    "Right: each feature, and quality (dashed, in the same colour), when that feature’s direction is taken out."
)


def drawings(study: RewardStudy) -> list[Drawing]:
    """The plates of the figure, in their order; what was not measured has none."""
    plates = [slopes_plate(study), attribution_plate(study.readings[0])]
    if any(reading.ablations for reading in study.readings):
        plates.append(ablation_plate(study))
    if study.readings[0].best_of_n:
        plates.append(best_of_n_plate(study))
    return plates


def slopes_plate(study: RewardStudy) -> Drawing:
    told = has_unit(study)
    rows = [slope_row(study, feature) for feature in study.features]
    values = [end for row in rows for dot in row.dots for end in (dot.value, *(dot.interval or ()))]
    axis = axis_around([*values, WORTH, -WORTH] if told else [*values, 0.0])
    title = (
        "slope, in units of a unit of quality" if told else "slope, units of the score: no slope of quality was found"
    )
    shown = DotPlot(rows, axis, title, NAMES, WIDTH - NAMES - 20, 34.0)
    low, high = shown.x(-WORTH), shown.x(WORTH)
    margin = box(low, shown.top, high - low, shown.bottom - shown.top, "empty", 0.0, "too small to matter")
    content = joined(legend(slope_signs(study), 8), margin if told else None, shown.drawn())
    name = "Slope of the score by feature, with intervals and nulls"
    return Drawing("What a unit of each feature is worth", name, SLOPES_CAPTION, shown.height, content)


def has_unit(study: RewardStudy) -> bool:
    """Whether the slope of quality was found in every model, so that slopes can be told in its units."""
    shown = study.readings if study.before is None else (*study.readings, study.before)
    return all(slope.in_quality is not None for reading in shown for slope in reading.spurious)


def slope_signs(study: RewardStudy) -> list[tuple[Markup, str]]:
    several = len(study.readings) > 1
    signs = [(dot_sign(AFTER), study.readings[0].name)] if not several else []
    if several:
        signs += [(dot_sign(AFTER), "mean over models")] if has_unit(study) else []
        signs.append((dot_sign(EACH), "each model"))
    if study.before is not None:
        signs.append((dot_sign(BEFORE), f"before: {study.before.name}"))
    signs.append((null_sign(), "random orientations"))
    margin = box(0, -6, 18, 12, "empty", 0.0)
    return [*signs, (margin, f"less than {WORTH:g} units of quality")] if has_unit(study) else signs


def slope_row(study: RewardStudy, feature: str) -> Row:
    told = has_unit(study)
    tone = AFTER if len(study.readings) == 1 else EACH
    each = [slope_dot(reading, feature, tone, told) for reading in study.readings]
    over = next(found for found in study.over_models if found.feature == feature)
    if len(study.readings) > 1 and told and over.mean is not None:
        each.insert(0, Dot(over.mean, AFTER, over.interval, f"{feature}: {over.mean:+.3f}, mean over models"))
    if study.before is not None:
        each.insert(0, slope_dot(study.before, feature, BEFORE, told))
    slopes = [reading.slope(feature) for reading in study.readings]
    scale = [(slope.null, slope.in_quality.unit if told and slope.in_quality else 1.0) for slope in slopes]
    null = (min(low / unit for (low, _), unit in scale), max(high / unit for (_, high), unit in scale))
    return Row(feature, each, null, "random orientations of the pairs")


def slope_dot(reading: Reading, feature: str, tone: str, told: bool) -> Dot:
    """In units of quality where they are `told`, else of the score."""
    slope = reading.slope(feature)
    value, interval = slope.value, slope.interval
    if told and slope.in_quality is not None:
        value, interval = slope.in_quality.value, slope.in_quality.interval
    return Dot(
        value, tone, interval, f"{reading.name}: {feature} {value:+.3f}, {slope.reading}", hollow=not slope.found
    )


def ablation_plate(study: RewardStudy) -> Drawing:
    found = [(reading, each) for reading in study.readings for each in reading.ablations]
    found.sort(key=lambda item: study.features.index(item[1].feature))
    several = len(study.readings) > 1
    rows: list[Row] = []
    notes: list[str] = []
    for reading, each in found:
        random = [each.slope_before * (1 - taken) for taken in each.random]
        scale = each.quality_kept if each.quality_kept > 0.0 else 1.0
        low, high = each.interval_after
        left = each.slope_after / scale
        after = Dot(left, AFTER, (low / scale, high / scale), f"after: {left:+.3f}")
        before = Dot(each.slope_before, EACH, None, f"before: {each.slope_before:+.3f}", hollow=True)
        name = f"{each.feature}, {study.readings.index(reading) + 1}" if several else each.feature
        rows.append(Row(name, (before, after), (min(random), max(random)), "random directions"))
        notes.append(f"{each.quality_before:.1%} → {each.quality_after:.1%}")
    axis = axis_around([dot.value for row in rows for dot in row.dots])
    shown = DotPlot(rows, axis, "slope, units of the score before", NAMES, WIDTH - NAMES - 170, 34.0)
    signs = [(dot_sign(EACH, hollow=True), "before"), (dot_sign(AFTER), "without the feature’s direction")]
    heights = np.cumsum([0.0, *(row.height for row in rows)])
    beside = [
        text(note, WIDTH - 8, shown.top + top + row.height / 2 + 4, "tick end")
        for note, row, top in zip(notes, rows, heights, strict=False)
    ]
    head = text("accuracy on quality", WIDTH - 8, 12, "axis end")
    content = joined(legend([*signs, (null_sign(), "without random directions")], 8), head, shown.drawn(), beside)
    name = "Slopes before and after ablation of each feature's direction"
    return Drawing("What carries a feature", name, ABLATION_CAPTION, shown.height, content)


def best_of_n_plate(study: RewardStudy) -> Drawing:
    plain = [reading.best_of_n[0] for reading in study.readings]
    names = [name for name in dict.fromkeys(each.name for each in plain[0].chosen) if name != QUALITY]
    tones = {name: TONES[place % len(TONES)] for place, name in enumerate(names)}
    left = [
        Line(QUALITY, "s1", points(plain, QUALITY)),
        *(Line(name, tones[name], points(plain, name)) for name in names),
    ]
    right: list[Line] = []
    for name in names:
        without = [each for reading in study.readings for each in reading.best_of_n if each.ablated == name]
        if without:
            right.append(Line(f"{name} without its direction", tones[name], points(without, name)))
            right.append(Line(f"quality without that of {name}", tones[name], points(without, QUALITY), "4 3"))
    width = (WIDTH - GAP - 60) / 2
    drawn: list[Markup] = []
    up = axis_around([point.mean for each in (*left, *right) for point in each.points])
    for lines, start, title in (
        (left, 52.0, "gain, SD: by the score"),
        (right, 52.0 + width + GAP, "gain, SD: without it"),
    ):
        if lines:
            frame = frame_around(lines, start, 62.0, width, 230.0, x_scale="logarithmic", up=up)
            drawn += [
                plot(frame, lines, title),
                x_axis(frame, frame.bottom, "n, candidates to choose from (logarithmic)"),
            ]
    content = joined(legend([(sign(each), each.name) for each in left], 8), drawn)
    name = "Quality and features of the best of n candidates, as n grows"
    return Drawing("What choosing the best of n brings", name, BEST_CAPTION, 340.0, content)


def points(found: Sequence[Exploited], name: str) -> list[BandPoint]:
    """The gain by n: with the interval over prompts for one model, over models for several."""
    ns = [each.n for each in found[0].chosen if each.name == name]
    if len(found) == 1:
        return [BandPoint(n, found[0].at(name, n).gain, found[0].at(name, n).gain_interval) for n in ns]
    gains = np.array([[each.at(name, n).gain for each in found] for n in ns])
    return [BandPoint(n, float(own.mean()), mean_interval(own)) for n, own in zip(ns, gains, strict=True)]
