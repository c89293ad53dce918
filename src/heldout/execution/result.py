"""What a technique returns: a number with its uncertainty, its nulls and its unit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

Json = None | bool | int | float | str | list[Any] | dict[str, Any]


@dataclass(frozen=True)
class Null:
    """What the same measurement gives where there is nothing to find.

    `p_value` is the share of null draws at least as large as the effect, the effect itself counted, (k + 1) / (n + 1);
    None where the null is a single reference (an untrained model, say) and not a distribution.
    """

    name: str
    mean: float
    maximum: float
    n: int
    p_value: float | None = None


@dataclass(frozen=True)
class Result:
    """One frozen measurement.

    `interval` is a 95 % interval in the unit of `effect`; `position` counts from the end (-1 is the last)."""

    technique: str
    quantity: str
    unit: str
    effect: float
    n: int
    interval: tuple[float, float] | None = None
    nulls: tuple[Null, ...] = ()
    site: str | None = None
    layer: int | None = None
    position: int | None = None
    role: str | None = None
    split: str | None = None
    forward_passes: float = 0.0
    settings: dict[str, Json] = field(default_factory=dict[str, Json])

    def to_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        nulls = tuple(Null(**null) for null in data.get("nulls", ()))
        interval = data.get("interval")
        parsed: dict[str, Any] = {"nulls": nulls, "interval": tuple(interval) if interval is not None else None}
        return cls(**{**data, **parsed})

    def null(self, name: str) -> Null | None:
        return next((null for null in self.nulls if null.name == name), None)
