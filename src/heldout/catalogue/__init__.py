"""The table of techniques: those of heldout, and those that other packages add by an entry point.

heldout's own rows are data, so that listing them imports neither torch nor the techniques. Of another package the
object that its entry point names is imported; where that fails, its row says so and the others stay.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from heldout.catalogue.entry import Entry
from heldout.catalogue.rows.attribution import ATTRIBUTION
from heldout.catalogue.rows.circuits import CIRCUITS
from heldout.catalogue.rows.dictionaries import DICTIONARIES
from heldout.catalogue.rows.learning_coefficient import LEARNING_COEFFICIENT
from heldout.catalogue.rows.patching import PATCHING
from heldout.catalogue.rows.path_decomposition import PATH_DECOMPOSITION
from heldout.catalogue.rows.path_length import PATH_LENGTH
from heldout.catalogue.rows.polytopes import POLYTOPES
from heldout.catalogue.rows.probes import PROBES
from heldout.catalogue.rows.representation_comparison import REPRESENTATION_COMPARISON
from heldout.catalogue.rows.scaling import SCALING

GROUP = "heldout.techniques"
NOT_STATED = "not stated"
IN_TREE = tuple(
    sorted(
        (
            *ATTRIBUTION,
            *CIRCUITS,
            *DICTIONARIES,
            *LEARNING_COEFFICIENT,
            *PATCHING,
            *PATH_DECOMPOSITION,
            *PATH_LENGTH,
            *POLYTOPES,
            *PROBES,
            *REPRESENTATION_COMPARISON,
            *SCALING,
        ),
        key=lambda entry: entry.name,
    )
)


def techniques() -> list[Entry]:
    """Every technique by name, heldout's own first. A broken entry of another package has its `problem` set."""
    own = {entry.name for entry in IN_TREE}
    found = [_entry_of(point, own) for point in entry_points(group=GROUP)]
    return [*IN_TREE, *sorted(found, key=lambda entry: (entry.name, entry.origin))]


def _entry_of(point: EntryPoint, taken: set[str]) -> Entry:
    """The row of an entry point, which names a technique's class, or an `Entry` that describes one."""
    origin = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "a distribution without a name"
    row = Entry(point.name, point.value.replace(":", "."), *[NOT_STATED] * 5, origin=origin)
    if point.name in taken:
        return replace(row, problem=f"the name {point.name!r} is that of a technique of heldout")
    try:
        target = point.load()
    except Exception as error:  # another package may raise anything when it is imported
        return replace(row, problem=f"{point.value} cannot be imported: {type(error).__name__}: {error}")
    if isinstance(target, Entry):
        return replace(target, name=point.name, origin=origin)
    if not callable(getattr(target, "run", None)):
        return replace(row, problem=f"{point.value} has no method run(model, data)")
    return replace(row, **_stated(target))


def _stated(technique: Any) -> dict[str, str]:
    """What a technique's class says about itself: the first line of its docstring, and texts named like the columns."""
    texts = {name: getattr(technique, name, None) for name in ("source", "needs", "assumes", "fails")}
    texts["method"] = (technique.__doc__ or "").strip().partition("\n")[0]
    return {name: text for name, text in texts.items() if isinstance(text, str) and text}


__all__ = ["GROUP", "IN_TREE", "NOT_STATED", "Entry", "techniques"]
