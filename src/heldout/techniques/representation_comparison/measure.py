"""What a measure of likeness is: how it prepares one side, and how it holds two of them against each other."""

from __future__ import annotations

from typing import Any, Protocol, Self

from heldout.techniques.representation_comparison.principal_components import PrincipalComponents, Rows


class Side(Protocol):
    """One side as a measure needs it. Its rows are what is permuted and resampled."""

    def __len__(self) -> int: ...

    def permuted(self, order: Rows) -> Self:
        """The same rows in another order."""
        ...

    def chosen(self, rows: Rows) -> Self:
        """Some of the rows, each once, prepared anew."""
        ...


class Measure(Protocol):
    """A number for two sides, with the side of each prepared once."""

    @property
    def name(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def rows(self) -> str:
        """What the rows of a side are: items, or conditions."""
        ...

    @property
    def limits(self) -> tuple[float, float]:
        """Between which values it always lies."""
        ...

    def side(self, components: PrincipalComponents) -> Any:
        """The `Side` of these items. Raises InputError where the measure cannot be had of them."""
        ...

    def value(self, one: Any, other: Any) -> float: ...

    def similarity(self, value: Any) -> Any:
        """The value, or an array of them, on a scale that rises with likeness up to 1."""
        ...
