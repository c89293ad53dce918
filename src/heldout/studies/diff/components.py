"""The parts of a model that are told apart, and weights that change places between two models."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from heldout.models import Model
from heldout.models.architectures import Architecture


@final
@dataclass(frozen=True)
class Component:
    """A part with the names of its parameters: `embedding`, `attention 2`, `MLP 2`, `unembedding`. A norm belongs to
    what reads through it."""

    name: str
    parameters: tuple[str, ...]


def components_of(model: Model, parameters: Iterable[str]) -> list[Component]:
    """The components that hold `parameters`, from the input to the output."""
    found: dict[tuple[int, int, str], list[str]] = {}
    for name in parameters:
        found.setdefault(_place(model.architecture, model.n_layers, name), []).append(name)
    return [Component(said, tuple(names)) for (_, _, said), names in sorted(found.items())]


def _place(architecture: Architecture, n_layers: int, name: str) -> tuple[int, int, str]:
    """Where a parameter stands on the way from input to output, and the name of its component."""
    if not name.startswith(f"{architecture.layers}."):
        after = name.startswith((architecture.final_norm, architecture.unembedding))
        return (n_layers, 0, "unembedding") if after else (-1, 0, "embedding")
    number, _, rest = name.removeprefix(f"{architecture.layers}.").partition(".")
    norms = (architecture.attention_norm or architecture.attention,)
    attends = rest.startswith((f"{architecture.attention}.", *norms))
    return (int(number), 0, f"attention {number}") if attends else (int(number), 1, f"MLP {number}")


def weights_of(model: Model, component: Component) -> dict[str, Tensor]:
    named = dict(model.module.named_parameters())
    return {name: named[name].data for name in component.parameters}


@contextmanager
def with_weights(model: Model, weights: Mapping[str, Tensor]) -> Generator[None]:
    """Inside, the model's parameters of these names are `weights`; nothing is copied."""
    named = dict(model.module.named_parameters())
    before = {name: named[name].data for name in weights}
    try:
        for name, value in weights.items():
            named[name].data = value
        yield
    finally:
        for name, value in before.items():
            named[name].data = value


def sign_flipped(
    base: Mapping[str, Tensor], tuned: Mapping[str, Tensor], generator: torch.Generator
) -> dict[str, Tensor]:
    """`base` moved as far as `tuned` lies, entry by entry, each up or down as a coin falls: a change of equal size that
    nothing was learnt in."""
    return {name: base[name] + (tuned[name] - base[name]) * coin(base[name], generator) for name in base}


def coin(like: Tensor, generator: torch.Generator) -> Tensor:
    signs = torch.randint(0, 2, like.shape, generator=generator) * 2 - 1
    return signs.to(like)
