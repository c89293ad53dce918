"""The tables of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from heldout.evidence.verdicts import Verdict
from heldout.execution.result import Null, Result
from heldout.report.charts import bar
from heldout.report.html import Child, Markup, element, joined, table
from heldout.report.readings import is_spent
from heldout.report.words import (
    compact,
    held_together,
    in_unit,
    p_value,
    p_value_text,
    percent,
    quantity_name,
    spoken,
    unit_text,
)

PREVALENCES = ((1e-2, "1 in 100"), (1e-3, "1 in 1,000"), (1e-4, "1 in 10,000"))
SPLITS = ("fit", "select", "calibrate", "test")
SPLIT_LABELS = {"held out": "in the test split alone", "held_out": "in the test split alone"}


def result_table(results: Sequence[Result], limit: int) -> Markup:
    """One result a row, at most `limit`; what is left out is said and summed up by quantity."""
    headings = ("quantity", "where", "effect", "compared with", "p")
    rows = [_result_row(result) for result in results[:limit]]
    rest = results[limit:]
    return joined(table(headings, rows, class_="results"), _summary(rest) if rest else None)


def null_text(null: Null, unit: str) -> str:
    spread = f" (largest {in_unit(null.maximum, unit)} of {null.n})" if null.n > 1 else ""
    p = f", {p_value_text(null.p_value)}" if null.p_value is not None else ""
    return held_together(f"{null.name} {in_unit(null.mean, unit)}{spread}{p}")


def effect_text(result: Result) -> str:
    low_high = [in_unit(end, result.unit) for end in result.interval or ()]
    interval = f" [{', '.join(low_high)}]" if low_high else ""
    return held_together(f"{in_unit(result.effect, result.unit)}{interval}{unit_text(result.unit)}")


def place_text(result: Result) -> str:
    """Site, position, role, split and number of prompts, as far as they are known."""
    parts = (
        result.site,
        None if result.position is None else f"position {result.position}".replace("-", "−"),
        result.role,
        f"{result.split} split" if result.split else None,
        f"n {result.n}",
    )
    return held_together(", ".join(part for part in parts if part))


def weakest_p(result: Result) -> float | None:
    """The largest p-value over the nulls that have one: an effect has to beat every null."""
    values = [null.p_value for null in result.nulls if null.p_value is not None]
    return max(values) if values else None


def accept_rate_table(verdict: Verdict) -> Markup | None:
    """Accept rates of candidate and baseline on verified and unverified prompts; None where the verdict has none."""
    known = (("candidate", verdict.candidate_accepts), ("baseline", verdict.baseline_accepts))
    rows = [
        (name, _rate(rates.verified, "s1"), _rate(rates.unverified, "s2")) for name, rates in known if rates is not None
    ]
    if not rows:
        return None
    return table(("accepted by the grader", "verified prompts", "unverified prompts"), rows, class_="rates")


def predictive_values(recall: float, false_alarm_rate: float) -> list[tuple[str, float]]:
    """Share of alarms that are true, by how rare the failure is: recall·π / (recall·π + false alarms·(1 − π)).

    >>> [(name, round(value, 3)) for name, value in predictive_values(0.95, 0.01)]
    [('1 in 100', 0.49), ('1 in 1,000', 0.087), ('1 in 10,000', 0.009)]
    """
    found: list[tuple[str, float]] = []
    for prevalence, name in PREVALENCES:
        true, false = recall * prevalence, false_alarm_rate * (1 - prevalence)
        found.append((name, true / (true + false) if true + false else float("nan")))
    return found


def predictive_value_table(verdicts: Iterable[Verdict]) -> Markup | None:
    rows = [
        [
            verdict.behaviour,
            percent(verdict.recall),
            f"≤ {percent(verdict.false_alarm_rate)}",
            *(percent(value) for _, value in predictive_values(verdict.recall, verdict.false_alarm_rate)),
            verdict.calibrated_on or "–",
        ]
        for verdict in verdicts
        if verdict.verdict == "deceptive" and verdict.recall is not None and verdict.false_alarm_rate is not None
    ]
    columns = [f"true alarms if {name} models fails" for _, name in PREVALENCES]
    return table(("behaviour", "recall", "false alarms", *columns, "measured on"), rows) if rows else None


def split_table(splits: Mapping[str, Mapping[str, Any]]) -> Markup | None:
    """How many prompts each split of each behaviour and role holds; lists (held-out templates and cues) as lists."""
    found = dict.fromkeys(name for split in splits.values() for name in split)
    names = [*(name for name in SPLITS if name in found), *(name for name in found if name not in SPLITS)]
    rows = [[behaviour, *(_count(split.get(name)) for name in names)] for behaviour, split in splits.items()]
    return table(("prompts", *(SPLIT_LABELS.get(name, spoken(name)) for name in names)), rows) if names else None


def key_value_table(pairs: Iterable[tuple[Child, Any]]) -> Markup:
    rows = [
        element(
            "tr", element("th", key, scope="row"), element("td", value if isinstance(value, Markup) else compact(value))
        )
        for key, value in pairs
    ]
    return element("div", element("table", element("tbody", rows), class_="pairs"), class_="scroll")


def bullets(items: Iterable[Any]) -> Markup:
    return element("ul", [element("li", compact(item)) for item in items], class_="items")


def _result_row(result: Result) -> Markup:
    cells: list[Child] = [
        joined(quantity_name(result.quantity), element("span", spoken(result.technique), class_="evidence")),
        place_text(result),
        effect_text(result),
        joined([element("div", null_text(null, result.unit)) for null in result.nulls]) if result.nulls else "nothing",
        p_value(weakest_p(result)),
    ]
    if not is_spent(result):
        return element("tr", [element("td", cell) for cell in cells])
    status, spender = result.settings["instrument_status"], compact(result.settings.get("spent_by"))
    reason = f"Spent instrument ({status}), so no evidence. Spent by: {spender}"
    struck = [element("td", element("s", cell)) for cell in cells]
    return joined(
        element("tr", struck, class_="spent"), element("tr", element("td", reason, colspan=len(cells)), class_="spent")
    )


def _summary(results: Sequence[Result]) -> Markup:
    groups: dict[tuple[str, str], list[float]] = {}
    for result in results:
        groups.setdefault((result.quantity, result.unit), []).append(result.effect)
    rows = [
        (
            quantity_name(quantity),
            str(len(values)),
            in_unit(min(values), unit),
            in_unit(sum(values) / len(values), unit),
            in_unit(max(values), unit),
            unit,
        )
        for (quantity, unit), values in groups.items()
    ]
    said = f"{len(results)} more results, summed up by quantity; each of them is in claims.json."
    return joined(
        element("p", said, class_="note"), table(("quantity", "results", "least", "mean", "greatest", "unit"), rows)
    )


def _rate(value: float | None, tone: str) -> Markup:
    return joined(bar(value, tone), " ", percent(value))


def _count(value: Any) -> Child:
    if isinstance(value, list | tuple) and value:
        return bullets(value)
    return "–" if value is None or value in ([], ()) else compact(value)
