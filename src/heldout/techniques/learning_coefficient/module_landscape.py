"""Any torch module as a landscape: its parameters, or some of them, in one vector."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Self, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from heldout.errors import InputError, Problem
from heldout.shapes import Float
from heldout.techniques.learning_coefficient.landscape import Landscape

LossOfCall = Callable[[Callable[..., Any]], Tensor]
"""From the module as a function of its inputs to a scalar."""


@final
@dataclass(frozen=True)
class FlatParameters:
    """Where each named parameter stands in one vector, in the module's order. Tied parameters stand there once."""

    shapes: dict[str, torch.Size]

    @classmethod
    def of(cls, module: nn.Module, chosen: Collection[str] | None = None) -> Self:
        """All parameters, or those whose name is one of `chosen` or inside a module that is.

        Raises InputError for a chosen name that fits none."""
        named = dict(module.named_parameters())
        if chosen is None:
            return cls({name: value.shape for name, value in named.items()})
        if strange := [part for part in chosen if not any(_is_inside(name, part) for name in named)]:
            found, expected = f"no parameter called {', '.join(strange)}", f"names such as {', '.join([*named][:3])}"
            next_step = "see module.named_parameters()"
            raise InputError(f"parameters={list(chosen)}", Problem(found, expected, next_step))
        kept = {name: value.shape for name, value in named.items() if any(_is_inside(name, part) for part in chosen)}
        return cls(kept)

    def flat(self, module: nn.Module) -> Float[Tensor, " parameter"]:
        named = dict(module.named_parameters())
        return torch.cat([named[name].detach().flatten() for name in self.shapes])

    def named(self, flat: Float[Tensor, " parameter"]) -> dict[str, Tensor]:
        """Views of the vector."""
        parts = flat.split([shape.numel() for shape in self.shapes.values()])
        return {name: part.view(shape) for part, (name, shape) in zip(parts, self.shapes.items(), strict=True)}


def module_landscape(
    module: nn.Module,
    loss: LossOfCall,
    *,
    parameters: Collection[str] | None = None,
    n: int | None = None,
    together: bool = True,
) -> Landscape:
    """`loss(call)` is the loss where `call(*inputs)` is the module: `lambda call: (call(x) - y).square().mean()`.

    With `parameters` only these move, and the coefficient is that of the restricted model (Wang et al. 2024,
    arXiv 2410.02984). The module is not changed. Raises InputError as `Landscape` and `FlatParameters.of` do."""
    layout = FlatParameters.of(module, parameters)

    def at(flat: Float[Tensor, " parameter"]) -> Float[Tensor, ""]:
        replaced = layout.named(flat)

        def call(*inputs: Any, **named_inputs: Any) -> Any:
            return functional_call(module, replaced, inputs, named_inputs)

        return loss(call)

    return Landscape(at, layout.flat(module), n, together)


def _is_inside(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")
