"""What a technique is: a name, what it needs of a model, and one method that runs it."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from heldout.execution.result import Result
from heldout.models import Model


@runtime_checkable
class Technique(Protocol):
    """All that somebody else's technique needs; an entry point of the group `heldout.techniques` lists it."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> tuple[str, ...]:
        """The site names that it reads or writes."""
        ...

    def run(self, model: Model, data: Any) -> tuple[Result, ...]:
        """One result for each site, in the order of the sites."""
        ...
