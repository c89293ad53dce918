"""A whole piece of work: what a process or a cluster receives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """`function(**arguments)`; both must be picklable, as the job runs in a process of its own."""

    name: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def run(self) -> Any:
        return self.function(**self.arguments)
