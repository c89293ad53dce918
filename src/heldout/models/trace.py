"""What one forward pass read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from heldout.errors import InputError, Problem
from heldout.models.sites import Site
from heldout.shapes import Float


@dataclass(frozen=True, eq=False)
class Trace:
    """Activations by site. `trace[site]` is [batch, position, ...] (see `SITE_SHAPES`), where position runs over the
    `positions` that were asked for, in that order, or over all of them. The tensors may share memory with each other:
    clone one before writing to it."""

    activations: Mapping[Site, Tensor]
    positions: tuple[int, ...] | None
    last_logits: Float[Tensor, "batch vocabulary"] | None

    def __getitem__(self, site: Site) -> Float[Tensor, "batch position ..."]:
        if site not in self.activations:
            raise InputError(
                f"Trace[{site}]",
                Problem(
                    f"the site {site}, which was not traced",
                    f"one of {', '.join(map(str, self.activations))}",
                    "add it to the sites of Model.trace",
                ),
            )
        return self.activations[site]

    def __contains__(self, site: object) -> bool:
        return site in self.activations

    def __iter__(self) -> Iterator[Site]:
        return iter(self.activations)

    def __len__(self) -> int:
        return len(self.activations)

    @property
    def logits(self) -> Float[Tensor, "batch vocabulary"]:
        """Logits at the last position. Raises InputError if the trace was made with `logits=False`."""
        if self.last_logits is None:
            raise InputError(
                "Trace.logits",
                Problem("a trace made with logits=False", "a trace with logits", "trace with logits=True"),
            )
        return self.last_logits
