"""The tables of the study's page."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.execution.result import Result
from heldout.report.html import Markup, element, joined, table
from heldout.report.words import held_together, number, p_value, percent, short_digest, spoken
from heldout.studies.compare.alignment import Cell
from heldout.studies.compare.decoding import PERMUTED, UNTRAINED, WORDS, Held
from heldout.studies.compare.findings import ModelComparison

MOST_ROWS = 40


def model_table(study: ModelComparison) -> Markup:
    rows = [
        (
            element("strong", model.label),
            model.name,
            f"{model.n_parameters:,}",
            str(model.n_layers),
            short_digest(model.digest) if model.trained else "random weights",
        )
        for model in study.models
    ]
    return table(("", "model", "parameters", "layers", "weights"), rows)


def likeness_table(study: ModelComparison) -> Markup:
    """Different models, and each against the untrained model of the other's shape."""
    rows = [
        (
            f"{found.model} and {found.other}",
            number(found.value),
            p_value(found.p_value),
            str(found.sites),
            f"{found.flagged} of {found.sites}" if found.flagged else "none",
        )
        for found in study.likenesses
        if found.model != found.other
    ]
    return table(("models", "debiased CKA, mean", "p", "sites at equal depth", "flagged"), rows)


def cell_table(cells: Sequence[Cell]) -> Markup:
    """What was flagged, the most alike first: the value, and what it stands on."""
    shown = sorted(cells, key=lambda cell: -max(cell.debiased, cell.biased))[:MOST_ROWS]
    rows = [
        (
            f"{cell.model} {cell.site} | {cell.other} {cell.other_site}",
            number(cell.debiased),
            number(cell.without_first_component),
            number(cell.without_outliers),
            f"{number(cell.biased)} ({number(cell.biased_chance)})",
            number(cell.biased_without_outliers),
            str(len(cell.outliers)),
            ", ".join(cell.flags),
        )
        for cell in shown
    ]
    headings = (
        "sites",
        "debiased",
        "without first component",
        "without outliers",
        "biased (by chance)",
        "without outliers",
        "outliers",
        "flags",
    )
    rest = len(cells) - len(shown)
    note = element("p", f"{rest} more are in cells.parquet.", class_="note") if rest > 0 else None
    return joined(table(headings, rows), note)


def measure_table(results: Sequence[Result]) -> Markup:
    rows = [
        (
            places(result),
            spoken(result.quantity),
            joined(number(result.effect), " ", element("span", interval_words(result), class_="evidence")),
            reference(result, "permuted items"),
            number(result.nulls[0].p_value) if result.nulls and result.nulls[0].p_value is not None else "–",
            reference(result, UNTRAINED),
            ", ".join(flags_of(result)) or "–",
        )
        for result in results
    ]
    return table(("sites", "measure", "value", "permuted items", "p", "untrained", "flags"), rows)


def geometry_table(results: Sequence[Result]) -> Markup:
    rows = [
        (
            str(result.settings["concept"]),
            places(result),
            joined(number(result.effect), " ", element("span", interval_words(result), class_="evidence")),
            f"{result.settings['rows']}",
            p_value(result.nulls[0].p_value) if result.nulls else "–",
        )
        for result in results
    ]
    return table(("concept", "sites", "rank correlation of distances", "values", "p"), rows)


def concept_table(rows: Sequence[Held]) -> Markup:
    cells: list[tuple[str | Markup, ...]] = []
    for held in rows:
        nulls = {null.name: null.mean for null in held.nulls}
        low, high = held.interval
        interval = element("span", held_together(f"n {held.n}, {percent(low)} to {percent(high)}"), class_="evidence")
        cells.append(
            (
                held.concept,
                held.model,
                held.site,
                joined(percent(held.accuracy), " ", interval),
                percent(nulls[PERMUTED]),
                percent(nulls[UNTRAINED]),
                percent(nulls[WORDS]),
                p_value(held.p_value),
                "held" if held.held else "not shown",
            )
        )
    headings = ("concept", "model", "site", "decoded", "permuted labels", "untrained model", "words", "p", "")
    return table(headings, cells)


def places(result: Result) -> str:
    told = result.settings
    return f"{told['model']} {result.site} | {told['other']} {told['other_site']}"


def interval_words(result: Result) -> str:
    if result.interval is None:
        return ""
    low, high = result.interval
    return held_together(f"{number(low)} to {number(high)}")


def reference(result: Result, name: str) -> str:
    null = result.null(name)
    return number(null.mean) if null is not None else "–"


def flags_of(result: Result) -> list[str]:
    flags = result.settings.get("flags")
    return [str(flag) for flag in flags] if isinstance(flags, list) else []
