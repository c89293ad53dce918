"""HTML and SVG elements.

Whatever is not `Markup` is text and is escaped, so no value from a bundle can become markup.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Union

Child = Union["Markup", str, None, Iterable["Child"]]
VOID = frozenset({"meta", "br", "hr", "circle", "rect", "line", "path", "polyline", "polygon"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """One element. `class_` stands for `class` and `_` for `-`; None and False leave an attribute out.

    >>> element("p", "1 < 2", class_="sum", data_n=3)
    '<p class="sum" data-n="3">1 &lt; 2</p>'
    """
    opening = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        opening.append(attribute if value is True else f'{attribute}="{escape(_text(value))}"')
    head = f"<{' '.join(opening)}"
    inside = joined(*children)
    if name in VOID and not inside:
        return Markup(f"{head}>" if name in ("meta", "br", "hr") else f"{head}/>")
    return Markup(f"{head}>{inside}</{name}>")


def joined(*children: Child) -> Markup:
    """The children one after the other; None adds nothing."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(str(child))
        elif isinstance(child, str):
            parts.append(escape(child))
        elif child is not None:
            parts.append(str(joined(*child)))
    return Markup("".join(parts))


def table(headings: Iterable[Child], rows: Iterable[Iterable[Child]], **attributes: str | None) -> Markup:
    """A table in a box of its own that scrolls sideways where the page is narrow."""
    head = element("tr", [element("th", heading, scope="col") for heading in headings])
    body = [row if isinstance(row, Markup) else element("tr", [element("td", cell) for cell in row]) for row in rows]
    whole = element("table", element("thead", head), element("tbody", body), **attributes)
    return element("div", whole, class_="scroll")


def details(summary: Child, *children: Child) -> Markup:
    """Content that is folded away until somebody asks for it."""
    return element("details", element("summary", summary), *children)


def _text(value: str | float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
