"""The table of behavioural evals: what outputs alone tell, at what cost, and what was not done and why."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.evidence.battery import EvalRecord
from heldout.evidence.claims import Claim
from heldout.evidence.verdicts import Verdict
from heldout.report.html import Markup, element, joined, table
from heldout.report.words import held_together, number, p_value, percent, quantity_name

BATTERY = "battery"
"""The leg of the claim that holds the battery's results, which this table shows."""

COUNTED = "The greedy answers, which the inside view got from its own first pass, are counted on both sides."
HEADINGS = ("eval", "effect", "compared with", "p", "flagged", "forward passes")


def battery_table(verdict: Verdict, claims: Sequence[Claim]) -> Markup | None:
    """One eval a row, and the claim about all of them; None where the verdict has no battery."""
    battery = verdict.battery
    if battery is None:
        return None
    said = [each.statement for each in claims if (each.behaviour, each.leg) == (verdict.behaviour, BATTERY)]
    return joined(
        element("h3", "Behavioural evals"),
        table(HEADINGS, [_row(record) for record in battery.evals], class_="battery"),
        [element("p", f"{statement}. {COUNTED}", class_="note") for statement in said],
    )


def _row(record: EvalRecord) -> Markup:
    what = joined(
        element("strong", record.name),
        element("span", f"{quantity_name(record.quantity)}, {record.role} prompts", class_="evidence"),
    )
    if record.effect is None:
        return element("tr", element("td", what), element("td", record.note, colspan=len(HEADINGS) - 1))
    shown = joined(
        element("strong", percent(record.effect)),
        element("span", held_together(f"n {record.n}; {record.note}"), class_="evidence"),
    )
    compared = "nothing" if record.reference is None else f"{record.compared_with} {percent(record.reference)}"
    cells = (
        what,
        shown,
        compared,
        p_value(record.p_value),
        "yes" if record.flagged else "no",
        number(record.forward_passes),
    )
    return element("tr", [element("td", cell) for cell in cells])
