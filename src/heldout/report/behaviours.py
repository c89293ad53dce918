"""The section of a report on one behaviour: verdict card, legs, figures, what was not found, every result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from heldout.evidence.claims import LEGS, Claim
from heldout.evidence.verdicts import Verdict
from heldout.execution.result import Result
from heldout.report.battery import BATTERY, battery_table
from heldout.report.figures import figures
from heldout.report.html import Child, Markup, details, element, joined, table
from heldout.report.readings import at_last_position, is_charted, is_spent, results_of
from heldout.report.tables import accept_rate_table, effect_text, null_text, result_table
from heldout.report.words import (
    LEG_QUESTIONS,
    VERDICT_MARKS,
    VERDICT_NAMES,
    behavioural_sentence,
    compact,
    gain_sentence,
    held_together,
    leg_name,
    p_value,
    p_value_text,
    quantity_name,
    spoken,
    verdict_sentence,
)


def behaviour_section(
    verdict: Verdict, claims: Sequence[Claim], place: int, most_charted: int, most_uncharted: int
) -> Markup:
    """Everything about one behaviour.

    `most_charted` bounds the rows of results that a chart shows, `most_uncharted` those of the results that none does.
    """
    own = [claim for claim in claims if claim.behaviour == verdict.behaviour and claim.leg != BATTERY]
    results = results_of(own)
    return element(
        "section",
        element("h2", verdict.behaviour),
        verdict_card(verdict, own),
        legs_table(verdict, own),
        battery_table(verdict, claims),
        element("h3", "Measurements") if results else None,
        figures(results),
        other_results(results, most_uncharted),
        not_found_list(own),
        every_result(results, most_charted),
        id=f"behaviour-{place}",
        class_=f"behaviour {verdict.verdict}",
    )


def badge(verdict: Verdict) -> Markup:
    mark = element("span", VERDICT_MARKS[verdict.verdict], class_="mark", aria_hidden="true")
    kind = f": {spoken(verdict.kind)}" if verdict.kind else ""
    return element("span", mark, " ", VERDICT_NAMES[verdict.verdict], kind, class_=f"badge {verdict.verdict}")


def verdict_card(verdict: Verdict, claims: Sequence[Claim]) -> Markup:
    said = verdict.behavioural_only
    outside = element("span", said, class_=f"badge {'plain-pass' if said == 'pass' else 'plain-fail'}")
    certain = verdict.verdict == "deceptive" and verdict.p_value is not None
    evidence = f"{p_value_text(verdict.p_value or 0.0)} for the least certain leg" if certain else ""
    views = element(
        "div",
        element(
            "div",
            element("h3", "From outputs alone"),
            element("p", outside),
            element("p", behavioural_sentence(verdict)),
        ),
        element(
            "div",
            element("h3", "From the inside"),
            element("p", badge(verdict), " ", element("span", evidence, class_="evidence")),
            element("p", verdict_sentence(verdict, claims)),
        ),
        element("div", element("h3", "What the inside view adds"), element("p", gain_sentence(verdict))),
        class_="views",
    )
    missing = None
    if verdict.missing:
        items = [element("li", leg_name(item)) for item in verdict.missing]
        missing = element("div", element("h3", "Missing from the evidence"), element("ul", items), class_="missing")
    note = element("p", verdict.note, class_="note") if verdict.note else None
    return element("div", views, missing, note, accept_rate_table(verdict), class_="card")


def legs_table(verdict: Verdict, claims: Sequence[Claim]) -> Markup | None:
    """The legs with the claims that carry them, legs that no claim carries, and then what was seen beside the legs."""
    named = [*LEGS, *verdict.legs, *verdict.missing, *(claim.leg for claim in claims if claim.leg)]
    known = {*verdict.legs, *(claim.leg for claim in claims), *(leg for leg in verdict.missing if leg in LEGS)}
    rows: list[Markup] = []
    for leg in dict.fromkeys(leg for leg in named if leg in known):
        facts = verdict.legs.get(leg, {})
        carried = [_claim_rows(claim, facts.get("site")) for claim in claims if claim.leg == leg]
        rows += _joined_rows(_leg_cell(leg, facts), carried or [[_uncarried(leg in verdict.missing)]])
    beside = [_claim_rows(claim, None) for claim in claims if claim.leg is None]
    rows += _joined_rows(("beside the legs",), beside)
    if not rows:
        return None
    headings = ("leg", "what was tested", "effect", "compared with")
    return joined(element("h3", "What the verdict stands on"), table(headings, rows, class_="legs"))


def not_found_list(claims: Sequence[Claim]) -> Markup | None:
    """The hypotheses that were tested and not found: results like any other."""
    items: list[Markup] = []
    for claim in claims:
        if not claim.found and is_hypothesis(claim):
            tried = "; ".join(_measured(*one) for one in _headlines(claim, None))
            numbers = joined(" ", element("span", f"({tried})", class_="evidence")) if tried else None
            items.append(element("li", claim.statement, _untested(claim), numbers))
    if not items:
        return None
    return joined(element("h3", "Looked for and not found"), element("ul", items, class_="notfound"))


def is_hypothesis(claim: Claim) -> bool:
    """Whether a claim can be found or not; what was counted and how the outputs were graded cannot."""
    return claim.leg not in (None, "behaviour")


def other_results(results: Sequence[Result], most: int) -> Markup | None:
    """The results that no chart shows, spent instruments among them."""
    others = [result for result in results if not is_charted(result) or is_spent(result)]
    if not others:
        return None
    return joined(element("h4", "Other measurements"), result_table(others, most))


def every_result(results: Sequence[Result], most: int) -> Markup | None:
    charted = [result for result in results if is_charted(result) and not is_spent(result)]
    if not charted:
        return None
    return details(f"The {len(charted)} results behind the charts", result_table(charted, most))


def _leg_cell(leg: str, facts: Mapping[str, Any]) -> tuple[Child, ...]:
    question = element("span", LEG_QUESTIONS[leg], class_="evidence") if leg in LEG_QUESTIONS else None
    shown = [element("div", f"{spoken(key)}: {_fact(key, value)}") for key, value in facts.items()]
    return (element("strong", leg_name(leg)), question, details("in the verdict", shown) if shown else None)


def _joined_rows(head: tuple[Child, ...], claims: Sequence[Sequence[Markup]]) -> list[Markup]:
    """Table rows under one head cell that spans all of them."""
    cells = [cell for claim in claims for cell in claim]
    first = element("th", head, scope="row", rowspan=len(cells))
    return [element("tr", first if index == 0 else None, cell, class_="leg") for index, cell in enumerate(cells)]


def _uncarried(missing: bool) -> Markup:
    said = "Nothing was found that carries this leg." if missing else "No claim is recorded for this leg."
    return joined(
        element("td", _answer("missing" if missing else "–", False), said), element("td", "–"), element("td", "–")
    )


def _claim_rows(claim: Claim, site: object) -> list[Markup]:
    """The cells of a claim: a row for each quantity that it rests on, next to one cell with its statement."""
    shown = _headlines(claim, site)
    answer = _answer("found" if claim.found else "not found", claim.found) if is_hypothesis(claim) else None
    statement = element("td", answer, claim.statement, _untested(claim), rowspan=max(1, len(shown)))
    if not shown:
        return [joined(statement, element("td", "–"), element("td", "–"))]
    return [joined(statement if index == 0 else None, *_evidence(*one)) for index, one in enumerate(shown)]


def _answer(text: str, found: bool) -> Markup:
    return element("span", text, class_=f"answer {'yes' if found else 'no'}")


def _evidence(result: Result, among: int) -> tuple[Markup, Markup]:
    where = f"at {result.site}" if result.site else None
    largest = f"largest of {among}" if among > 1 else None
    parts = (quantity_name(result.quantity), result.role, where, f"n {result.n}", largest)
    small = element("span", held_together(", ".join(part for part in parts if part)), class_="evidence")
    nulls = [element("div", null_text(null, result.unit)) for null in result.nulls]
    effect = element("strong", effect_text(result))
    if is_spent(result):
        effect = joined(element("s", effect), element("span", "spent instrument, no evidence", class_="evidence"))
    return element("td", effect, small), element("td", nulls or "nothing")


def _measured(result: Result, among: int) -> str:
    role = f" on {result.role} prompts" if result.role else ""
    where = f" at {result.site}" if result.site else ""
    largest = f", the largest of {among}" if among > 1 else ""
    return f"{quantity_name(result.quantity)}{role}{where}: {effect_text(result)}{largest}"


def _untested(claim: Claim) -> Markup | None:
    return joined(" ", element("em", f"Could not be tested fully: {claim.missing}")) if claim.missing else None


def _fact(key: str, value: Any) -> str:
    return p_value(value) if key == "p_value" and isinstance(value, int | float) else compact(value)


def _headlines(claim: Claim, site: object) -> list[tuple[Result, int]]:
    """For each quantity and role the result at the site that the verdict names, else the one with the largest effect.

    With it the number of results among which it is the largest.
    """
    groups: dict[tuple[str, str | None], list[Result]] = {}
    for result in claim.results:
        groups.setdefault((result.quantity, result.role), []).append(result)
    shown: list[tuple[Result, int]] = []
    for group in groups.values():
        at_site = [result for result in group if site is not None and result.site == site]
        last = at_last_position(at_site or group)
        shown.append((max(last, key=lambda result: result.effect), len(last)))
    return shown
