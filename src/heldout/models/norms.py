"""Norms as linear maps: a norm module with its denominators held fixed.

LayerNorm and RMSNorm multiply each position's (centred) input by gain / scale, where the scale depends on the input.
With the scale of one run held fixed the norm is linear, which direct logit attribution (Elhage et al. 2021) and
layer-wise relevance rules (arXiv 2508.21258) use. The parts are found by calling the module, so every family's
conventions (Gemma's gain 1 + w, say) are followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from heldout.errors import InputError, Problem
from heldout.shapes import Float

NOT_A_NORM = 0.1
"""The share of a module's output by which it may differ from a norm: what half precision rounds is far less."""


@dataclass(frozen=True, eq=False)
class FrozenNorm:
    """y = gain · (x − mean(x), where `centred`) · inverse_scale + offset, linear but for the offset.

    `inverse_scale` is [..., 1], one number a position, as the run that was frozen had it."""

    gain: Float[Tensor, " d_model"]
    offset: Float[Tensor, " d_model"]
    centred: bool
    inverse_scale: Float[Tensor, "... 1"]

    def __call__(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """What the norm would give if `x` had the frozen run's scale."""
        return self.linear(x) + self.offset

    def linear(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """The part that is linear in `x`: the contribution of a part of the stream, without the offset."""
        centred = x - x.mean(dim=-1, keepdim=True) if self.centred else x
        return centred * self.gain * self.inverse_scale


def frozen_norm(norm: nn.Module | None, x: Float[Tensor, "... d_model"]) -> FrozenNorm:
    """`norm` with the scales that it has at `x`; None and identities have scale 1. The scales take no gradient."""
    width = x.shape[-1]
    if norm is None or isinstance(norm, nn.Identity):
        return FrozenNorm(x.new_ones(width), x.new_zeros(width), False, x.new_ones(*x.shape[:-1], 1))
    with torch.no_grad():
        gain, offset, centred = _parts(norm, x)
        output: Any = norm(x)
        moved = (x.float() - x.float().mean(dim=-1, keepdim=True) if centred else x.float()) * gain.float()
        # y − offset = moved · inverse_scale, solved for the one unknown by least squares; half precision would overflow.
        least = torch.finfo(torch.float32).tiny
        squares = moved.square().sum(-1, keepdim=True).clamp_min(least)
        inverse = ((output - offset).float() * moved).sum(-1, keepdim=True) / squares
        refuse_other_maps(norm, (output - offset).float(), moved * inverse)
    return FrozenNorm(gain, offset, centred, inverse.to(x.dtype))


def _parts(norm: nn.Module, like: Tensor) -> tuple[Tensor, Tensor, bool]:
    """The gain up to a common factor (which the scale takes up), the offset, and whether the mean is removed."""
    width = like.shape[-1]
    signs = like.new_ones(width)
    signs[: width // 2] = -1.0
    offset = norm(like.new_zeros(1, width))[0]
    centred = bool((norm(like.new_full((1, width), 3.0))[0] - offset).abs().max() < 1e-3)
    probe = signs - signs.mean() if centred else signs
    gain = (norm(probe[None])[0] - offset) / probe
    return gain, offset, centred


def refuse_other_maps(module: nn.Module, output: Tensor, rebuilt: Tensor) -> None:
    """Raises InputError for a module that is no norm: an encoder's head, say, is not linear with its scale held fixed."""
    error = float((output - rebuilt).norm() / output.norm().clamp_min(torch.finfo(torch.float32).tiny))
    if error > NOT_A_NORM:
        kind = type(module).__name__
        found = (
            f"a {kind} where a norm is taken apart, of whose output {error:.0%} is not its input, centred and scaled"
        )
        next_step = "this decomposition does not fit the family; use interventions (heldout.models.sweep) instead"
        raise InputError(f"frozen_norm({kind})", Problem(found, "a LayerNorm or RMSNorm", next_step))
