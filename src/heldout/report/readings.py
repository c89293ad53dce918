"""What a report draws, taken out of the results of a bundle: from results to lines, effects and cells."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from heldout.evidence.claims import Claim
from heldout.execution.result import Null, Result
from heldout.report.charts import Effect, Line, Point
from heldout.report.sites import SiteAxis, site_axis
from heldout.report.words import number

READOUTS = {"readout_accuracy": "s1", "readout_agreement": "s2", "decoded_acceptable": "s3"}
READOUT_LABELS = {
    "readout_accuracy": "right (verified)",
    "readout_agreement": "agrees with output (unverified)",
    "decoded_acceptable": "acceptable (unverified)",
}
INTERVENTIONS = ("restoration", "injection")
RANDOM = ("random directions", "exchange within the role")
TONES = ("s1", "s2", "s3", "s4", "s5")
POINTS_A_SITE = 60


@dataclass(frozen=True)
class HeatMap:
    """Readout by site and position, beside the largest value that any of its nulls reached there."""

    quantity: str
    role: str | None
    axis: SiteAxis
    positions: tuple[int, ...]
    values: dict[tuple[str, int], float]
    nulls: dict[tuple[str, int], float]


def results_of(claims: Iterable[Claim]) -> tuple[Result, ...]:
    """Every result once, in the order of the claims."""
    seen: dict[str, Result] = {}
    for claim in claims:
        for result in claim.results:
            seen.setdefault(json.dumps(result.to_json(), sort_keys=True, default=str), result)
    return tuple(seen.values())


def is_charted(result: Result) -> bool:
    """Whether some chart shows the result; every other one has to be shown in a table."""
    if result.quantity in READOUTS or result.quantity in INTERVENTIONS:
        return result.site is not None
    return result.quantity == "stability" and noise_scale(result) is not None


def readout_lines(results: Sequence[Result]) -> tuple[tuple[Line, ...], SiteAxis] | None:
    """The three readouts at the last position by site, and the nulls behind them. None where there are none.

    Of nulls with one name the first readout's is drawn. A null with several draws is a band from its mean to its
    largest draw.
    """
    shown = at_last_position(on_test_samples(r for r in results if r.quantity in READOUTS and r.site))
    if not shown:
        return None
    axis = site_axis(r.site for r in shown if r.site)
    signals: list[Line] = []
    nulls: dict[str, Line] = {}
    for quantity, tone in READOUTS.items():
        for technique, group in _by_technique([r for r in shown if r.quantity == quantity]):
            ordered = sorted(group, key=lambda r: axis.x(r.site or ""))
            name = READOUT_LABELS[quantity] + (f" ({technique})" if technique else "")
            signals.append(Line(name, tone, tuple(_point(axis.x(r.site or ""), r) for r in ordered)))
            for null_name in dict.fromkeys(null.name for r in ordered for null in r.nulls):
                if null_name not in nulls:
                    nulls[null_name] = _null_line(null_name, tone, ordered, axis)
    return (*signals, *nulls.values()), axis


def heat_maps(results: Sequence[Result]) -> tuple[HeatMap, ...]:
    """One for each readout that was measured at more than one position."""
    maps: list[HeatMap] = []
    for quantity in READOUTS:
        cells = on_test_samples(r for r in results if r.quantity == quantity and r.site and r.position is not None)
        positions = tuple(sorted({r.position for r in cells if r.position is not None}))
        if len(positions) < 2:
            continue
        values: dict[tuple[str, int], float] = {}
        nulls: dict[tuple[str, int], float] = {}
        for r in cells:
            place = (r.site or "", r.position or 0)
            values[place] = max(r.effect, values.get(place, r.effect))
            for null in r.nulls:
                nulls[place] = max(null.maximum, nulls.get(place, null.maximum))
        maps.append(HeatMap(quantity, cells[0].role, site_axis(site for site, _ in values), positions, values, nulls))
    return tuple(maps)


def effects(results: Sequence[Result], quantity: str) -> tuple[tuple[Effect, ...], SiteAxis] | None:
    """The interventions of one quantity by site, with their random directions."""
    shown = on_test_samples(r for r in results if r.quantity == quantity and r.site)
    if not shown:
        return None
    axis = site_axis(r.site for r in shown if r.site)
    names = list(dict.fromkeys(intervention_name(r) for r in shown))
    found: list[Effect] = []
    for r in sorted(shown, key=lambda r: axis.x(r.site or "")):
        name = intervention_name(r)
        random = next((null for null in r.nulls if null.name in RANDOM), None)
        low, high = r.interval or (None, None)
        draws = random_effects(r, random)
        found.append(
            Effect(
                axis.x(r.site or ""), r.effect, name, TONES[names.index(name) % len(TONES)], low, high, draws,
                (random.mean, random.maximum) if random and not draws else None,
                tuple((null.name, null.mean) for null in r.nulls if null.name not in RANDOM),
                f"n {r.n}",
            )
        )  # fmt: skip
    return tuple(found), axis


def stability_lines(results: Sequence[Result]) -> tuple[tuple[Line, ...], tuple[float, ...], str] | None:
    """Answers under noise, verified against unverified, by noise scale; with the scales and the unit."""
    shown = on_test_samples(r for r in results if r.quantity == "stability" and noise_scale(r) is not None)
    if not shown:
        return None
    groups: dict[str, list[Result]] = {}
    for r in shown:
        measure = r.settings.get("measure")
        name = f"{r.role or 'all'}{f', {measure}' if isinstance(measure, str) else ''}".replace("_", " ")
        groups.setdefault(name, []).append(r)
    lines: list[Line] = []
    for index, (name, group) in enumerate(sorted(groups.items(), key=lambda item: item[0].startswith("unverified"))):
        ordered = sorted(group, key=lambda r: noise_scale(r) or 0.0)
        lines.append(Line(name, TONES[index % len(TONES)], tuple(_point(noise_scale(r) or 0.0, r) for r in ordered)))
    return tuple(lines), tuple(sorted({noise_scale(r) or 0.0 for r in shown})), shown[0].unit


def on_test_samples(results: Iterable[Result]) -> list[Result]:
    """The results on test samples where there are any for the quantity, else all.

    Spent instruments are left to the tables.
    """
    fresh = [r for r in results if not is_spent(r)]
    with_test = {r.quantity for r in fresh if r.split == "test"}
    return [r for r in fresh if r.split == "test" or r.quantity not in with_test]


def at_last_position(results: Sequence[Result]) -> list[Result]:
    """For each quantity and site the result at the position nearest to the end (all positions count as the last)."""
    last: dict[tuple[str, str | None, str], int] = {}
    for r in results:
        key = (r.quantity, r.site, r.technique)
        last[key] = max(last.get(key, -(1 << 30)), -1 if r.position is None else r.position)
    return [r for r in results if (-1 if r.position is None else r.position) == last[(r.quantity, r.site, r.technique)]]


def is_spent(result: Result) -> bool:
    """Whether the result says that its instrument was selected on or trained on (`settings["instrument_status"]`)."""
    return result.settings.get("instrument_status") in ("selected-on", "trained-on")


def intervention_name(result: Result) -> str:
    named = result.settings.get("intervention")
    return (named if isinstance(named, str) else result.technique).replace("_", " ")


def noise_scale(result: Result) -> float | None:
    scale = result.settings.get("noise")
    return float(scale) if isinstance(scale, int | float) and not isinstance(scale, bool) else None


def random_effects(result: Result, random: Null | None) -> tuple[float, ...]:
    """The effect of each random direction, from the settings or the null; at most 60, the extremes among them."""
    stored: Any = result.settings.get("random_effects") or getattr(random, "values", ())
    values = sorted(float(value) for value in stored)
    if len(values) > POINTS_A_SITE:
        last = len(values) - 1
        values = [values[round(index * last / (POINTS_A_SITE - 1))] for index in range(POINTS_A_SITE)]
    return tuple(values)


def _by_technique(results: Sequence[Result]) -> list[tuple[str, list[Result]]]:
    """Groups by technique; the name is empty where there is one technique only."""
    groups: dict[str, list[Result]] = {}
    for r in results:
        groups.setdefault(r.technique, []).append(r)
    return [("" if len(groups) == 1 else technique.replace("_", " "), group) for technique, group in groups.items()]


def _point(x: float, result: Result) -> Point:
    low, high = result.interval or (None, None)
    where = f"{result.site}, " if result.site else ""
    interval = f"95 % interval {number(low)} to {number(high)}, " if low is not None else ""
    return Point(x, result.effect, low, high, f"{where}{interval}n {result.n}")


def _null_line(name: str, tone: str, results: Sequence[Result], axis: SiteAxis) -> Line:
    found = [(r, null) for r in results for null in r.nulls if null.name == name]
    points = tuple(Point(axis.x(r.site or ""), null.mean, None, null.maximum, r.site or "") for r, null in found)
    if any(null.n > 1 and null.maximum > null.mean for _, null in found):
        draws = max(null.n for _, null in found)
        return Line(f"{name}, {draws} draws", tone, points, "band")
    return Line(name, tone, points, "null")
