"""How many polytope boundaries lie on the line between two activations.

A straight line between two streams of equal length passes nearer to the origin, and a norm before the MLP stretches it
there: the middle of the line counts for more than its ends. The control rescales every point to the length that lies
between those of the ends, and measures length in what the MLP is given, behind the norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from heldout.models import Model
from heldout.shapes import Float, Int
from heldout.techniques.polytopes.codes import mlp_input, preactivations, spline_code

STEPS = 64
ROWS = 8192
"""Points whose pre-activations are held at a time."""


@final
@dataclass(frozen=True, eq=False)
class Lines:
    """Of each line, the boundaries that it crosses and its length; `control`: on rescaled points, in what the MLP is
    given."""

    crossed: Int[Tensor, " line"]
    length: Float[Tensor, " line"]
    control_crossed: Int[Tensor, " line"]
    control_length: Float[Tensor, " line"]

    @property
    def density(self) -> Float[Tensor, " line"]:
        """Boundaries per unit of length in the stream; 0 where both ends are the same point."""
        return self.crossed / self.length.clamp_min(1e-12)

    @property
    def control_density(self) -> Float[Tensor, " line"]:
        return self.control_crossed / self.control_length.clamp_min(1e-12)


def straight_points(
    first: Float[Tensor, "line d_model"], second: Float[Tensor, "line d_model"], steps: int
) -> Float[Tensor, "line point d_model"]:
    """`steps` + 1 points, ends included."""
    share = torch.linspace(0, 1, steps + 1, dtype=first.dtype, device=first.device)[None, :, None]
    return first[:, None] * (1 - share) + second[:, None] * share


def rescaled_points(points: Float[Tensor, "line point d_model"]) -> Float[Tensor, "line point d_model"]:
    """The same directions, at lengths that go evenly from that of the first point to that of the last."""
    lengths = points.norm(dim=-1, keepdim=True)
    share = torch.linspace(0, 1, points.shape[1], dtype=points.dtype, device=points.device)[None, :, None]
    wanted = lengths[:, :1] * (1 - share) + lengths[:, -1:] * share
    return points * (wanted / lengths.clamp_min(1e-12))


@torch.no_grad()
def boundaries(
    model: Model,
    layer: int,
    first: Float[Tensor, "line d_model"],
    second: Float[Tensor, "line d_model"],
    steps: int = STEPS,
) -> Lines:
    """Boundaries of the MLP of `layer` between streams that it reads. Changes of sign are counted from point to point: a
    neuron that changes twice between two of them is not seen, so more `steps` can only find more."""
    parts: list[tuple[Any, ...]] = []
    for rows in torch.arange(len(first)).split(max(1, ROWS // (steps + 1))):
        straight = straight_points(first[rows], second[rows], steps)
        rescaled = rescaled_points(straight)
        read = mlp_input(model, layer, rescaled)
        parts.append(
            (
                changes(model, layer, straight),
                (second[rows] - first[rows]).norm(dim=-1),
                changes(model, layer, rescaled),
                read.diff(dim=1).norm(dim=-1).sum(dim=1),
            )
        )
    return Lines(*(torch.cat(column) for column in zip(*parts, strict=True)))


def changes(model: Model, layer: int, points: Float[Tensor, "line point d_model"]) -> Int[Tensor, " line"]:
    """Changes of sign along each line, over all neurons."""
    codes = spline_code(preactivations(model, layer, points.flatten(0, 1))).unflatten(0, points.shape[:2])
    return (codes[:, 1:] != codes[:, :-1]).sum(dim=(1, 2))
