"""Problems of one kind at many places become one problem that lists the places."""

from __future__ import annotations

from dataclasses import dataclass, field

from heldout.errors import Problems

INDENT = "\n" + " " * len("found:    ")


@dataclass
class Findings:
    """Gathers what is wrong in many places of one input. Of each kind the first `shown` places are listed."""

    called: str
    shown: int = 20
    kinds: dict[tuple[str, str], list[str]] = field(default_factory=dict[tuple[str, str], list[str]])

    def add(self, found: str, expected: str, next_step: str) -> None:
        """One more place. Findings of one kind have the same `expected` and the same `next_step`."""
        self.kinds.setdefault((expected, next_step), []).append(found)

    def raise_if_any(self) -> None:
        """Raises one InputError with every kind of problem found so far."""
        problems = Problems(self.called)
        for (expected, next_step), found in self.kinds.items():
            listed = found[: self.shown]
            if len(found) > self.shown:
                listed.append(f"and {len(found) - self.shown} more")
            problems.add(INDENT.join(listed), expected, next_step)
        problems.raise_if_any()
