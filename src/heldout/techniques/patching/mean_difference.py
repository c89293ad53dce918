"""The mean difference between two groups of prompts at a site, as an edit that removes or injects it.

Source: difference-in-means steering (Marks and Tegmark 2023, section 5; Rimsky et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from heldout.models import Add, Site, Tokens
from heldout.seeds import torch_generator
from heldout.shapes import Float


@dataclass(frozen=True, eq=False)
class MeanDifference:
    """Mean over one group minus mean over another: `vector` [position, width], aligned at the end of the prompt."""

    site: Site
    vector: Float[Tensor, "position width"]

    @property
    def norm(self) -> float:
        return float(self.vector.norm())

    def removal(self, length: int) -> Add:
        """Takes the difference out of prompts of `length` positions."""
        return Add(self.site, -self._fitted_to(length))

    def injection(self, length: int) -> Add:
        return Add(self.site, self._fitted_to(length))

    def random_like(self, seed: int, index: int) -> MeanDifference:
        """A random direction at each position, of this difference's norm there: the null of the intervention."""
        generator = torch_generator(seed, "random direction", str(self.site), index)
        noise = torch.randn(self.vector.shape, generator=generator).to(self.vector)
        unit = noise / noise.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        return MeanDifference(self.site, unit * self.vector.norm(dim=-1, keepdim=True))

    def _fitted_to(self, length: int) -> Tensor:
        """Positions that no prompt of the fit had are left alone; a shorter prompt uses the last positions."""
        known = len(self.vector)
        if length <= known:
            return self.vector[known - length :]
        return torch.cat([self.vector.new_zeros(length - known, self.vector.shape[1]), self.vector])


class MeanDifferenceFitter:
    """Gathers the means of two groups batch by batch; `fitted` gives first minus second."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._sums: dict[bool, Tensor] = {}
        self._counts: dict[bool, Tensor] = {}

    def update(self, activations: Float[Tensor, "batch position width"], tokens: Tokens, *, first: bool) -> None:
        """Padding does not count; batches may have different lengths."""
        activations = activations.float()
        mask = tokens.mask.to(activations).unsqueeze(-1)
        total, count = (activations * mask).sum(dim=0), mask.sum(dim=0)
        if first in self._sums:
            total, count = _add_at_end(self._sums[first], total), _add_at_end(self._counts[first], count)
        self._sums[first], self._counts[first] = total, count

    def fitted(self) -> MeanDifference:
        """Positions that only one group has are left out of the difference (zero)."""
        length = min(len(self._sums[True]), len(self._sums[False]))
        means = [self._sums[g][-length:] / self._counts[g][-length:].clamp_min(1.0) for g in (True, False)]
        both = (self._counts[True][-length:] > 0) & (self._counts[False][-length:] > 0)
        return MeanDifference(self.site, torch.where(both, means[0] - means[1], 0.0))


def _add_at_end(one: Tensor, other: Tensor) -> Tensor:
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    total = longer.clone()
    total[len(longer) - len(shorter) :] += shorter
    return total
