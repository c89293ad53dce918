"""The values that a law in logarithms can be fitted to. Those that are not above 0 are left out, counted and named; where
leaving them out would bend the law, that is a reason to refuse it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

from heldout.studies.scaling.measured import MeasuredModel
from heldout.studies.scaling.reading import Quantity

MOST_LEFT_OUT = 0.1
"""Of the models that have a value: leaving out more raises the mean of what is left."""


@final
@dataclass(frozen=True)
class PositiveValues:
    """`by_size[size]` are the values above 0; `left_out` names each model whose value is not, and the value; `bends` says
    why these are too many, or too many of one size, for the rest to stand for all."""

    by_size: dict[int, list[float]]
    left_out: tuple[str, ...]
    bends: tuple[str, ...]


def positive_values(models: Sequence[MeasuredModel], quantity: Quantity) -> PositiveValues:
    """Models that have no value at all are refused elsewhere, by name, and not counted here."""
    by_size: dict[int, list[float]] = {model.size: [] for model in models}
    left_out: list[tuple[MeasuredModel, float]] = []
    for model in models:
        value = model.reading(quantity).value
        if value is None:
            continue
        if value > 0.0:
            by_size[model.size].append(value)
        else:
            left_out.append((model, value))
    named = tuple(f"{model.series}, {model.name}: {value:.3g}" for model, value in left_out)
    counts = Counter(model.size for model, _ in left_out)
    return PositiveValues(by_size, named, tuple(reasons(by_size, counts)))


def reasons(by_size: dict[int, list[float]], left_out: Counter[int]) -> Iterator[str]:
    """Two of one size or more, half of a size or more, and more than MOST_LEFT_OUT of all."""
    none, kept = left_out.total(), sum(map(len, by_size.values()))
    if none > MOST_LEFT_OUT * (none + kept):
        yield f"values not above 0: {none} of {none + kept} models, and a law of the others would be too high"
    crowded = [size for size, count in sorted(left_out.items()) if count > 1 or count >= len(by_size[size])]
    if crowded:
        yield f"values not above 0 at one size: most at {', '.join(map(str, crowded))} parameters"
