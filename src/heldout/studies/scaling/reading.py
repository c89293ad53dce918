"""One number about one model, or the reasons why there is none."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, final

from heldout.execution.result import Json

Quantity = Literal["loss", "learning_coefficient", "path_length", "circuit_size"]

QUANTITIES: dict[Quantity, tuple[str, str]] = {
    "loss": ("loss", "nats"),
    "learning_coefficient": ("learning coefficient", "half parameters"),
    "path_length": ("path length", "sublayers"),
    "circuit_size": ("circuit size", "edges"),
}
"""What is measured: in words, and its unit."""


@final
@dataclass(frozen=True)
class Reading:
    """`value` is None where `refused` says why. `null` is the same number where nothing was learnt or searched for:
    an untrained model's, a regular model's, or that of random circuits."""

    quantity: Quantity
    value: float | None
    refused: tuple[str, ...] = ()
    null: float | None = None
    details: dict[str, Json] = field(default_factory=dict[str, Json])

    @property
    def unit(self) -> str:
        return QUANTITIES[self.quantity][1]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        fields: dict[str, Any] = {**data, "refused": tuple(data["refused"])}
        return cls(**fields)
