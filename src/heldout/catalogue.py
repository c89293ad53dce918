"""The table of techniques: those of heldout, and those that other packages add by an entry point.

heldout's own rows are data, so that listing them imports neither torch nor the techniques. Of another package the
object that its entry point names is imported; where that fails, its row says so and the others stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from heldout.errors import InputError, Problem

GROUP = "heldout.techniques"
NOT_STATED = "not stated"


@dataclass(frozen=True)
class Entry:
    """One technique: `factory` is the dotted path of what makes it, `origin` the distribution that it comes from.

    `problem` says why a technique of another package cannot be used; None where nothing is wrong with it.
    """

    name: str
    factory: str
    method: str
    source: str
    needs: str
    assumes: str
    fails: str
    origin: str = "heldout"
    problem: str | None = None

    def load(self) -> Callable[..., Any]:
        """Imports the factory. Raises InputError where the entry has a problem."""
        if self.problem is not None:
            found = Problem(self.problem, f"a technique at {self.factory}", f"correct or uninstall {self.origin}")
            raise InputError(f"catalogue entry {self.name!r} of {self.origin}", found)
        module, _, name = self.factory.rpartition(".")
        return getattr(import_module(module), name)


IN_TREE = (
    Entry(
        name="activation_patching",
        factory="heldout.techniques.ActivationPatching",
        method="Runs one prompt of a pair with a site's activation from the other prompt, one site at a time, and "
        "measures how far the answer moves to that of the other prompt.",
        source="Vig et al. 2020; Wang et al. 2022, section 3.1; Zhang and Nanda 2023 for the metric",
        needs="contrast pairs, and sites that can be read and written",
        assumes="Both prompts of a pair have equally many tokens, so that each position has its counterpart.",
        fails="An effect that several sites share is missed when one site is patched at a time.",
    ),
    Entry(
        name="mean_difference",
        factory="heldout.techniques.MeanDifferenceFitter",
        method="Takes the difference between the mean activations of two groups of prompts at a site, as an edit that "
        "removes it or injects it.",
        source="Marks and Tegmark 2023, section 5; Rimsky et al. 2023",
        needs="two groups of prompts, and a site of the residual stream's width that can be read and written",
        assumes="What tells the groups apart is a direction that can be added, at positions counted from the end of "
        "the prompt.",
        fails="Whatever else differs between the groups is in the difference too; an effect says that the difference "
        "matters, and not what it means.",
    ),
    Entry(
        name="readout_sweep",
        factory="heldout.techniques.ReadoutSweep",
        method="Fits a linear readout of the answer at each site, and measures its accuracy on prompts that were held "
        "out.",
        source="Alain and Bengio 2016; the nulls follow Hewitt and Liang 2019",
        needs="samples with a target, and sites that can be read",
        assumes="Answers recur: an answer that the fit split lacks is never decoded.",
        fails="What can be decoded need not be used by the model.",
    ),
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
