"""What is measured along a run: a name, what its cells are kept under, and a measurement of one checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from heldout.execution.result import Result
from heldout.models import Checkpoint, Model

Measure = Callable[..., list[dict[str, Any]]]


class Gauge(Protocol):
    """`measure` gives results as JSON; it is called with the settings, which it has already: `measure_along` keeps cells
    under them."""

    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> dict[str, Any]: ...

    def measure(self, model: Model, checkpoint: Checkpoint, **settings: Any) -> list[dict[str, Any]]: ...


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [result.to_json() for result in results]
