"""Restricted and excluded loss of any hypothesised subspace of any model.

Somebody says: all that matters at this site lies in this subspace. Restricted loss keeps the subspace and puts the mean
in place of the rest; if they are right it is no higher than the loss. Excluded loss keeps the rest and puts the mean in
place of the subspace; if they are right it is high. Random subspaces of the same rank say what either is worth.
Generalises arXiv 2301.05217, section 5.1, from waves over the prompts to directions of an activation.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self, final

import torch
from pydantic import TypeAdapter
from torch import Tensor

from heldout.errors import InputError, Problem
from heldout.models import Add, Edit, Model, Project, Site, Tokens, batch_size
from heldout.models.intervene import Positions
from heldout.seeds import torch_generator
from heldout.shapes import Float
from heldout.statistics import permutation_p_value
from heldout.techniques.path_length import Labelled

NEGLIGIBLE = 1e-6
"""Singular values below this share of the largest are rounding, and their directions none."""


@final
@dataclass(frozen=True, eq=False)
class Subspace:
    """The span of `basis` (orthonormal rows) in the last axis of `site`, at `positions` from the end or at all."""

    site: Site
    basis: Float[Tensor, "rank width"]
    positions: Positions = None

    @classmethod
    def spanned_by(cls, site: Site, directions: Float[Tensor, "n width"], positions: Positions = None) -> Self:
        """Of directions that need be neither orthogonal nor independent. Raises InputError where all are zero."""
        _, sizes, rows = torch.linalg.svd(directions.double(), full_matrices=False)
        if not len(sizes) or not float(sizes[0]) > 0:
            problem = Problem("no direction that is not zero", "directions that span something", "give at least one")
            raise InputError(f"Subspace.spanned_by({site})", problem)
        return cls(site, rows[sizes > NEGLIGIBLE * sizes[0]].to(directions.dtype), positions)

    @property
    def rank(self) -> int:
        return len(self.basis)

    def random(self, seed: int, draw: int) -> Subspace:
        """Another subspace of the same rank at the same place, uniformly distributed."""
        rank, width = self.basis.shape
        generator = torch_generator(seed, "random subspace", self.site, rank, width, draw)
        rows = torch.linalg.qr(torch.randn(width, rank, generator=generator, dtype=torch.float64))[0].T
        return Subspace(self.site, rows.to(self.basis), self.positions)


@final
@dataclass(frozen=True)
class SubspaceLosses:
    """Mean losses in nats: of the model, restricted to the subspace, without it; and of random subspaces."""

    rank: int
    full: float
    restricted: float
    excluded: float
    random_restricted: tuple[float, ...]
    random_excluded: tuple[float, ...]

    @classmethod
    def from_json(cls, value: Any) -> SubspaceLosses:
        return TypeAdapter(cls).validate_python(value)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def suffices_p_value(self) -> float:
        """That a random subspace keeps as much."""
        return permutation_p_value(-self.restricted, -torch.tensor(self.random_restricted).double().numpy())

    @property
    def necessary_p_value(self) -> float:
        """That leaving out a random subspace costs as much."""
        return permutation_p_value(self.excluded, torch.tensor(self.random_excluded).double().numpy())


def subspace_losses(
    model: Model, data: Labelled, subspace: Subspace, *, draws: int = 19, seed: int = 0
) -> SubspaceLosses:
    """The model's loss, the restricted and the excluded one, and those of `draws` random subspaces: 2 + 2 · (1 + draws)
    forward passes. The mean that fills up is that of `data`.

    Raises InputError where the site, the basis or the positions do not fit the model."""
    mean = mean_activation(model, data.tokens, subspace)
    random = [subspace.random(seed, draw) for draw in range(draws)]
    return SubspaceLosses(
        rank=subspace.rank,
        full=float(full_loss(model, data).mean()),
        restricted=float(restricted_loss(model, data, subspace, mean).mean()),
        excluded=float(excluded_loss(model, data, subspace, mean).mean()),
        random_restricted=tuple(float(restricted_loss(model, data, other, mean).mean()) for other in random),
        random_excluded=tuple(float(excluded_loss(model, data, other, mean).mean()) for other in random),
    )


def full_loss(model: Model, data: Labelled) -> Float[Tensor, " target"]:
    """Cross-entropy in nats of every target that is read, in double precision."""
    return torch.cat([_losses(model, data.rows(rows)) for rows in _batches(model, data)])


def restricted_loss(
    model: Model, data: Labelled, subspace: Subspace, mean: Float[Tensor, "position width"]
) -> Float[Tensor, " target"]:
    """As `full_loss`, with `mean` in place of everything outside the subspace."""
    keep = Project(subspace.site, subspace.basis, keep=True, positions=subspace.positions)
    return _edited_loss(model, data, keep, mean - _inside(subspace, mean))


def excluded_loss(
    model: Model, data: Labelled, subspace: Subspace, mean: Float[Tensor, "position width"]
) -> Float[Tensor, " target"]:
    """As `full_loss`, with `mean` in place of everything inside the subspace."""
    remove = Project(subspace.site, subspace.basis, positions=subspace.positions)
    return _edited_loss(model, data, remove, _inside(subspace, mean))


def mean_activation(model: Model, tokens: Tokens, subspace: Subspace) -> Float[Tensor, "position ..."]:
    """The mean over prompts at the positions of the subspace, in double precision; padding is left out.

    Raises InputError where the basis does not fit the site."""
    size = batch_size(model, tokens.length, kept_per_token=subspace.basis.shape[1])
    total, count = torch.zeros(()), torch.zeros(())
    for start in range(0, len(tokens), size):
        part = tokens[start : start + size]
        trace = model.trace(part, [subspace.site], positions=subspace.positions, logits=False)
        activation = trace[subspace.site].double()
        _check_basis(subspace, tuple(activation.shape))
        real = _at(part.mask, trace.positions).to(activation)
        real = real.reshape(*real.shape, *(1,) * (activation.ndim - 2))
        total = total + (activation * real).sum(dim=0)
        count = count + real.sum(dim=0)
    return total / count.clamp(min=1)


def _check_basis(subspace: Subspace, shape: tuple[int, ...]) -> None:
    problems = Project(subspace.site, subspace.basis).problems(shape)
    if problems:
        raise InputError(f"mean_activation({subspace.site})", *problems)


def _at(mask: Tensor, positions: tuple[int, ...] | None) -> Tensor:
    return mask if positions is None else mask[:, list(positions)]


def _inside(subspace: Subspace, mean: Float[Tensor, "position ..."]) -> Float[Tensor, "position ..."]:
    basis = subspace.basis.to(mean)
    return (mean @ basis.T) @ basis


def _edited_loss(model: Model, data: Labelled, project: Project, filling: Tensor) -> Float[Tensor, " target"]:
    edits: tuple[Edit, Edit] = (project, Add(project.site, filling, positions=project.positions))
    with model.intervene(*edits):
        return full_loss(model, data)


def _losses(model: Model, data: Labelled) -> Float[Tensor, " target"]:
    last = -min(data.positions)
    logits = model.logits(data.tokens, last=last)[:, [last + position for position in data.positions]].double()
    targets = data.targets.to(logits.device)
    if data.answers is not None:
        others = torch.ones(logits.shape[-1], dtype=torch.bool, device=logits.device)
        others[data.answers.to(logits.device)] = False
        logits = logits.masked_fill(others, -torch.inf)
    losses = -logits.log_softmax(dim=-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return losses[data.read.to(losses.device)]


def _batches(model: Model, data: Labelled) -> list[slice]:
    size = batch_size(model, data.tokens.length, last=-min(data.positions))
    return [slice(start, start + size) for start in range(0, len(data), size)]
