"""A loss over flat parameters, seen from one point: all that the learning coefficient asks of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor
from torch.func import vmap

from heldout.errors import Problems
from heldout.shapes import Float

Loss = Callable[[Tensor], Tensor]
"""From one flat vector of parameters to a scalar (nats per observation, where it is a mean log loss)."""

REPEATABLE = 1e-5
"""Two values of the loss at one point that differ by more than this share come from chance, not from rounding."""

ASIDE = 0.01
"""How far beside the point that is tried: at a perfect fit every batch has the same loss."""


@final
@dataclass(frozen=True, eq=False)
class Landscape:
    """`loss` around `point`. `n` is the number of observations that the loss is a mean of (None: it is exact, or the
    number is not known). With `together` all chains are evaluated in one vectorised call, which small models need and
    some large ones cannot do; otherwise one after another.

    The loss must be the same at each call: over all of the data, without dropout. A loss over a random batch makes
    Metropolis' correction wrong, and is refused.

    Raises InputError where the point is no finite vector of floating numbers, or where the loss is not a finite scalar,
    cannot be differentiated, or changes from call to call."""

    loss: Loss
    point: Float[Tensor, " parameter"]
    n: int | None = None
    together: bool = True

    def __post_init__(self) -> None:
        problems = Problems(f"Landscape(point of shape {tuple(self.point.shape)})")
        precise = self.point.dtype in (torch.float32, torch.float64)
        if self.point.ndim != 1 or not precise or not bool(self.point.isfinite().all()):
            found = f"a point of shape {tuple(self.point.shape)} and type {self.point.dtype}"
            expected = "a vector of finite numbers in float32 or float64"
            problems.add(found, expected, "flatten the parameters into one vector, in float32 or more")
            problems.raise_if_any()
        if self.n is not None and self.n < 2:
            problems.add(f"n={self.n} observations", "two or more", "leave n out where the loss is exact")
        self._check_loss(problems)
        problems.raise_if_any()

    def _check_loss(self, problems: Problems) -> None:
        start = self.point.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            here = self.loss(start)
        if here.ndim != 0 or not bool(here.isfinite()):
            found = f"a loss of shape {tuple(here.shape)}, {here.detach().flatten()[:3].tolist()} at the point"
            problems.add(found, "one finite number", "return the mean over the data")
        elif not here.requires_grad:
            problems.add("a loss without gradient", "one that depends on the parameters it is given", "use them in it")
        else:
            self._check_repeatable(problems)

    def _check_repeatable(self, problems: Problems) -> None:
        count = torch.arange(len(self.point), device=self.point.device, dtype=self.point.dtype)
        beside = self.point.detach() + ASIDE * torch.cos(count)
        with torch.no_grad():
            first, second = self.loss(beside), self.loss(beside)
        if not torch.isclose(first, second, rtol=REPEATABLE, atol=0.0, equal_nan=True):
            found = f"a loss of {float(first)}, and of {float(second)} when asked again"
            next_step = "compute it over all of the data, and turn dropout off"
            problems.add(found, "the same number at the same parameters", next_step)

    def __len__(self) -> int:
        """The number of parameters."""
        return len(self.point)

    @cached_property
    def loss_at_point(self) -> float:
        with torch.no_grad():
            return float(self.loss(self.point))

    def losses_and_gradients(
        self, parameters: Float[Tensor, "chain parameter"]
    ) -> tuple[Float[Tensor, " chain"], Float[Tensor, "chain parameter"]]:
        """One gradient evaluation for each chain."""
        inputs = parameters.detach().requires_grad_(True)
        with torch.enable_grad():
            losses = self._losses(inputs)
            (gradients,) = torch.autograd.grad(losses.sum(), inputs)
        return losses.detach(), gradients

    def _losses(self, parameters: Float[Tensor, "chain parameter"]) -> Float[Tensor, " chain"]:
        if self.together:
            return self._vectorised(parameters)
        return torch.stack([self.loss(row) for row in parameters])

    @cached_property
    def _vectorised(self) -> Callable[[Tensor], Tensor]:
        return vmap(self.loss)
