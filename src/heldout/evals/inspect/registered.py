"""How Inspect's own objects (solvers, scorers) say what they are: their name and the arguments they were made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Inspect publishes `registry_info` alone; the arguments are kept beside it, and its own log writer reads them so.
from inspect_ai._util.registry import (
    has_registry_params,
    is_registry_object,
    registry_params,
    registry_unqualified_name,
)


@dataclass(frozen=True)
class Registered:
    """`match(numeric=True)`: the name `match`, the arguments `{"numeric": True}`."""

    name: str
    arguments: dict[str, Any]

    @classmethod
    def of(cls, made: object) -> Registered:
        """What was made without a decorator of Inspect has its Python name, and no arguments."""
        if not is_registry_object(made):
            return cls(getattr(made, "__name__", type(made).__name__), {})
        return cls(registry_unqualified_name(made), registry_params(made) if has_registry_params(made) else {})

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"
