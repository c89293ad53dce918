"""The tables of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from heldout.evidence.claims import p_value_text
from heldout.evidence.verdicts import Verdict
from heldout.execution.result import Null, Result
from heldout.report.charts import bar
from heldout.report.html import Child, Markup, element, joined, table
from heldout.report.readings import is_spent
from heldout.report.words import compact, number, p_value, percent, quantity_name

PREVALENCES = ((1e-2, "1 in 100"), (1e-3, "1 in 1,000"), (1e-4, "1 in 10,000"))
SPLITS = ("fit", "select", "calibrate", "test")
UNSHOWN_SETTINGS = ("random_effects", "spent_by")


def result_table(results: Sequence[Result], limit: int) -> Markup:
    """One result a row, at most `limit`; what is left out is said and summed up by quantity."""
    headings = ("quantity", "technique", "site", "position", "role", "split", "effect", "n", "nulls", "p", "settings")
    rows = [_result_row(result) for result in results[:limit]]
    rest = results[limit:]
    return joined(table(headings, rows, class_="results"), _summary(rest) if rest else None)


def null_text(null: Null) -> str:
    spread = f" (largest {number(null.maximum)} of {null.n})" if null.n > 1 else ""
    p = f", {p_value_text(null.p_value)}" if null.p_value is not None else ""
    return f"{null.name} {number(null.mean)}{spread}{p}"


def effect_text(result: Result) -> str:
    interval = f" [{number(result.interval[0])}, {number(result.interval[1])}]" if result.interval else ""
    return f"{number(result.effect)}{interval} {result.unit}".strip()


def weakest_p(result: Result) -> float | None:
    """The largest p-value over the nulls that have one: an effect has to beat every null."""
    values = [null.p_value for null in result.nulls if null.p_value is not None]
    return max(values) if values else None


def accept_rate_table(verdict: Verdict) -> Markup | None:
    """Accept rates of candidate and baseline on verified and unverified samples; None where the verdict has none."""
    known = (("candidate", verdict.candidate_accepts), ("baseline", verdict.baseline_accepts))
    rows = [
        (name, _rate(rates.verified, "s1"), _rate(rates.unverified, "s2")) for name, rates in known if rates is not None
    ]
    if not rows:
        return None
    return table(("accepted by the grader", "verified samples", "unverified samples"), rows, class_="rates")


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
        if verdict.recall is not None and verdict.false_alarm_rate is not None
    ]
    columns = [f"true alarms if {name} models fails" for _, name in PREVALENCES]
    return table(("behaviour", "recall", "false alarms", *columns, "measured on"), rows) if rows else None


def split_table(splits: Mapping[str, Mapping[str, Any]]) -> Markup | None:
    """How many samples each split of each behaviour holds; other entries (held-out templates, cues) as they are."""
    found = dict.fromkeys(name for split in splits.values() for name in split)
    names = [*(name for name in SPLITS if name in found), *(name for name in found if name not in SPLITS)]
    rows = [[behaviour, *(_count(split.get(name)) for name in names)] for behaviour, split in splits.items()]
    return table(("behaviour", *(name.replace("_", " ") for name in names)), rows) if names else None


def key_value_table(pairs: Iterable[tuple[Child, Any]]) -> Markup:
    rows = [
        element(
            "tr", element("th", key, scope="row"), element("td", value if isinstance(value, Markup) else compact(value))
        )
        for key, value in pairs
    ]
    return element("div", element("table", element("tbody", rows), class_="pairs"), class_="scroll")


def _result_row(result: Result) -> Markup:
    settings = {key: value for key, value in result.settings.items() if key not in UNSHOWN_SETTINGS}
    cells: list[Child] = [
        quantity_name(result.quantity), result.technique, result.site or "–",
        "all" if result.position is None else number(result.position), result.role or "–", result.split or "–",
        effect_text(result), str(result.n), "; ".join(null_text(null) for null in result.nulls) or "none",
        p_value(weakest_p(result)), compact(settings),
    ]  # fmt: skip
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
            number(min(values)),
            number(sum(values) / len(values)),
            number(max(values)),
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


def _count(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in cast("list[Any]", value)):
        items = cast("list[str]", value)
        return f"{len(items)}" if len(items) > 4 else f"{len(items)} ({', '.join(items)})"
    return compact(value)
