"""Bars: what each view catches of each stage, and its false alarms on honest models."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.report.html import Markup, element, joined
from heldout.report.words import percent
from heldout.studies.drawing.canvas import WIDTH, box, legend, line, text
from heldout.studies.figure_one.counts import Rates, Share
from heldout.studies.figure_one.stages import ALL_HONEST, VIEWS, View, group_in_words
from heldout.studies.figure_one.targets import RECALL, Wanted
from heldout.studies.figure_one.tones import VIEW_NAMES, VIEW_TONES

LEFT, TOP, BOTTOM = 50.0, 60.0, 262.0
HEIGHT = BOTTOM + 48
BAR = 30.0
STRENGTH = 0.4
SIDE: dict[View, int] = {"behaviour": -1, "inside": 1}


def bars(rates: Rates, groups: Sequence[str], title: str) -> Markup:
    """Two bars a group, with the exact 95 % interval, the counts above, and a mark where a target is."""
    slot = (WIDTH - LEFT) / max(1, len(groups))
    parts = [_legend(any(wanted.group in groups for wanted in RECALL)), _grid(title)]
    for place, group in enumerate(groups):
        centre = LEFT + (place + 0.5) * slot
        parts.append(text(group if group != ALL_HONEST else "all", centre, BOTTOM + 18, "label strong middle"))
        parts.append(text(group_in_words(group), centre, BOTTOM + 34, "tick middle"))
        if not rates.share("inside", group).n:
            parts.append(text("no model", centre, BOTTOM - 8, "tick middle"))
            continue
        half = min(slot / 4, BAR * 0.75)
        parts += [_bar(rates.share(view, group), view, group, centre + SIDE[view] * half) for view in VIEWS]
    return joined(parts)


def level(share: float) -> float:
    return BOTTOM - share * (BOTTOM - TOP)


def _bar(share: Share, view: View, group: str, x: float) -> Markup:
    tone, value = VIEW_TONES[view], share.value or 0.0
    low, high = share.interval
    title = f"{group}, {VIEW_NAMES[view]}: {share.count} of {share.n} [{percent(low)}, {percent(high)}]"
    width = BAR - 4
    return joined(
        box(x - width / 2, level(value), width, BOTTOM - level(value), tone, STRENGTH, title),
        line(x - width / 2, x + width / 2, level(value), level(value), f"interval {tone}"),
        line(x, x, level(high), level(low), f"interval {tone}"),
        text(f"{share.count}/{share.n}", x, level(max(high, value)) - 5, "tick middle"),
        [_target(wanted, x) for wanted in RECALL if (wanted.group, wanted.view) == (group, view)],
    )


def _target(wanted: Wanted, x: float) -> Markup:
    bound = wanted.least if wanted.least is not None else wanted.most or 0.0
    arrow = "▲" if wanted.least is not None else "▼"
    outer = x + SIDE[wanted.view] * BAR * 0.75
    return joined(
        line(x - BAR / 2 - 2, x + BAR / 2 + 2, level(bound), level(bound), "brace", dash="3 2"),
        text([element("title", f"target: {wanted.in_words}"), arrow], outer, level(bound) + 4, "tick middle"),
    )


def _grid(title: str) -> Markup:
    marks = [
        joined(
            line(LEFT, WIDTH, level(share), level(share), "grid" if share else "zero"),
            text(percent(share), LEFT - 8, level(share) + 4, "tick end"),
        )
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    return joined(text(title, 0, 34, "axis"), marks)


def _legend(with_targets: bool) -> Markup:
    entries = [(box(0, -6, 18, 12, VIEW_TONES[view], STRENGTH), VIEW_NAMES[view]) for view in VIEWS]
    entries.append((line(9, 9, -7, 7, "interval s0"), "95 % interval"))
    if with_targets:
        entries += [
            (text("▲", 9, 4, "tick middle"), "target: at least"),
            (text("▼", 9, 4, "tick middle"), "target: at most"),
        ]
    return legend(entries, 6)
