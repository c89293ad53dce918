"""The page of a study: one HTML file that needs no network and no script, alike for all studies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from heldout.evidence import Claim
from heldout.report.html import Child, Markup, details, element, joined
from heldout.report.pages import document
from heldout.report.words import held_together
from heldout.studies.drawing.canvas import Drawing


def study_page(
    *,
    command: str,
    title: str,
    facts: str,
    answer: Child,
    drawings: Sequence[Drawing],
    sections: Child = None,
    words: Sequence[tuple[str, str]] = (),
) -> str:
    """A whole page. `command` is what was run, such as "heldout study reward"; `facts` is a line on what was looked at;
    `answer` what was found, in a few sentences or a list; `sections` follow the figure; `words` are explained at the end.
    """
    return document(
        title,
        element(
            "header",
            element("p", command, class_="eyebrow"),
            element("h1", title),
            element("p", held_together(facts), class_="facts"),
            answer,
        ),
        element("section", element("h2", "The figure"), map(plate, drawings)),
        sections,
        glossary(words) if words else None,
    )


def section(heading: str, *content: Child) -> Markup:
    return element("section", element("h2", heading), *content)


def titled(heading: str, note: str | None, content: Child) -> Markup:
    """A part of a section."""
    return joined(element("h3", heading), element("p", note) if note else None, content)


def plate(drawing: Drawing) -> Markup:
    return element(
        "figure",
        element("h3", drawing.heading),
        element("div", drawing.inline(), class_="chart"),
        element("figcaption", drawing.caption),
    )


def glossary(words: Iterable[tuple[str, str]]) -> Markup:
    """Words with their meanings, folded away."""
    meanings = [joined(element("dt", word), element("dd", meaning)) for word, meaning in words]
    return details("Words on this page", element("dl", meanings, class_="words"))


def claim_list(claims: Iterable[Claim]) -> Markup:
    """What was claimed, found or not, one statement an item; what could not be tested says why."""
    return element("ul", [element("li", _claim(claim)) for claim in claims], class_="items")


def _claim(claim: Claim) -> Markup:
    mark, look = ("✓", "generalised") if claim.found else ("–", "undetermined")
    missing = f" Not tested: {claim.missing}" if claim.missing else ""
    return joined(element("span", mark, class_=f"badge {look}"), " ", held_together(claim.statement + missing))
