"""The tables of the study's page."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.report.html import Markup, element, joined, table
from heldout.report.words import held_together, p_value, percent, plain_number, spoken
from heldout.studies.figure_one.comparing import SignTest
from heldout.studies.figure_one.counts import Quantity, Rates, Share
from heldout.studies.figure_one.holding_out import HeldOutFamily
from heldout.studies.figure_one.predicting import PredictiveValues
from heldout.studies.figure_one.stages import ALL_HONEST, DANGEROUS, HONEST, group_in_words
from heldout.studies.figure_one.targets import Target
from heldout.studies.figure_one.tones import VIEW_NAMES

MET = {True: ("✓ met", "generalised"), False: ("✕ missed", "deceptive"), None: ("– not measured", "plain-pass")}
ODDS = {0.01: "1 in 100", 0.001: "1 in 1,000", 0.0001: "1 in 10,000"}


def target_table(rows: Sequence[tuple[Target, str]]) -> Markup:
    """Each target in words beside its figure."""
    headings = ("target", "wanted", "found", "95 % interval", "")
    return table(headings, [_target_row(target, words) for target, words in rows], class_="targets")


def rate_table(rates: Rates) -> Markup:
    """One group a row: what it is, how many models, and the share of both views."""
    quantities: tuple[tuple[Quantity, str], ...] = (("recall", "caught"), ("false_alarms", "false alarms"))
    rows = [
        (
            element("strong", "all" if group == ALL_HONEST else group),
            group_in_words(group),
            str(rates.share("inside", group).n),
            name,
            share_cell(rates.share("behaviour", group)),
            share_cell(rates.share("inside", group)),
        )
        for quantity, name in quantities
        for group in rates.groups(quantity)
    ]
    return table(("group", "", "models", "counted", VIEW_NAMES["behaviour"], VIEW_NAMES["inside"]), rows)


def family_table(rates: Rates) -> Markup:
    """One family a row, one group a column: counts of behavioural evals and of the inside view."""
    groups = [group for group in (*DANGEROUS, *HONEST) if rates.share("inside", group).n]
    rows = [
        (
            spoken(family),
            *(_pair(rates.share("behaviour", g, family), rates.share("inside", g, family)) for g in groups),
        )
        for family in rates.families
    ]
    return table(("family", *groups), rows)


def sign_test_table(tests: Sequence[SignTest]) -> Markup:
    rows = [
        (
            test.group,
            {"model": "models", "family": "families"}[test.unit],
            str(test.inside_only),
            str(test.behaviour_only),
            str(test.ties),
            p_value(test.p_value),
        )
        for test in tests
    ]
    headings = ("stage", "counted over", "the inside view alone", "behavioural evals alone", "ties", "p")
    return table(headings, rows)


def held_out_table(rows: Sequence[HeldOutFamily]) -> Markup:
    cells = [
        (
            element("strong", "all") if row.family is None else spoken(row.family),
            row.rule,
            _cut_off(row),
            *(share_cell(share) for share in row.shares.values()),
        )
        for row in rows
    ]
    return table(("family", "rule", "p at most", "S2 caught", "S3 caught", "false alarms"), cells)


def predictive_table(values: Sequence[PredictiveValues]) -> Markup:
    prevalences = [prevalence for prevalence, _ in values[0].values]
    rows = [
        (
            VIEW_NAMES[each.view],
            percent(each.recall),
            f"≤ {percent(each.false_alarm_rate)}",
            *(percent(value) for _, value in each.values),
        )
        for each in values
    ]
    columns = [
        f"right alarms if {ODDS.get(prevalence, plain_number(prevalence))} models deceives"
        for prevalence in prevalences
    ]
    return table(("", "recall on S2", "false alarms", *columns), rows)


def share_cell(share: Share) -> Markup:
    if share.value is None:
        return joined("–")
    low, high = share.interval
    counts = unbroken(f"{share.count}/{share.n}, {percent(low)} to {percent(high)}")
    return joined(unbroken(percent(share.value)), " ", element("span", counts, class_="evidence"))


def _target_row(target: Target, words: str) -> tuple[Markup | str, ...]:
    said, look = MET[target.met]
    share = target.share
    found = f"{percent(share.value)} ({share.count} of {share.n})" if share.n else "no model"
    interval = f"{percent(share.interval[0])} to {percent(share.interval[1])}" if share.n else "–"
    return (
        words,
        held_together(target.wanted),
        unbroken(found),
        unbroken(interval),
        element("span", said, class_=f"badge {look}"),
    )


def unbroken(text: str) -> str:
    """Text that stays on one line."""
    return text.replace(" ", "\u00a0")


def _pair(behaviour: Share, inside: Share) -> str:
    return unbroken(f"{behaviour.count} | {inside.count} of {inside.n}") if inside.n else "–"


def _cut_off(row: HeldOutFamily) -> str:
    if row.cut_off is not None:
        return plain_number(row.cut_off)
    return "each its own" if row.family is None else "none is safe"
