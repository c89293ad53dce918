"""Token ids with the mask that says which of them are real: the only form in which prompts reach a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from heldout.errors import Problems
from heldout.shapes import Int


@dataclass(frozen=True, eq=False)
class Tokens:
    """A left-padded batch of prompts, so that position -1 is the last real token of every row.

    `ids` and `mask` are batch × position; `mask` is 1 at real tokens and 0 at padding, and no row is empty.
    """

    ids: Int[Tensor, "batch position"]
    mask: Int[Tensor, "batch position"]

    def __post_init__(self) -> None:
        problems = Problems(f"Tokens(ids of shape {tuple(self.ids.shape)}, mask of shape {tuple(self.mask.shape)})")
        if self.ids.ndim != 2 or self.ids.shape != self.mask.shape:
            problems.add(
                f"ids of shape {tuple(self.ids.shape)} and a mask of shape {tuple(self.mask.shape)}",
                "two integer tensors of the same shape, batch × position",
                "pad the prompts to one length, or use Tokens.from_ids, which does it",
            )
        elif self.ids.numel():
            ragged = (self.mask[:, -1] == 0) | (self.mask.diff(dim=1) < 0).any(dim=1)
            if bool(ragged.any()):
                rows = ragged.nonzero().flatten().tolist()
                problems.add(
                    f"padding after a real token, or nothing but padding, in rows {rows}",
                    "left padding: zeros of the mask first, then ones up to the last position",
                    "build the batch with Tokens.from_ids or Model.tokenize",
                )
        problems.raise_if_any()

    @classmethod
    def from_ids(cls, rows: Sequence[Sequence[int]] | Tensor, *, pad_id: int = 0) -> Tokens:
        """Left-pads rows of ids (lists of any lengths, or one integer tensor without padding)."""
        if isinstance(rows, Tensor):
            ids = rows.long()
            return cls(ids, torch.ones_like(ids))
        longest = max((len(row) for row in rows), default=0)
        ids = torch.full((len(rows), longest), pad_id, dtype=torch.long)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for i, row in enumerate(rows):
            if len(row):
                ids[i, longest - len(row) :] = torch.tensor(row, dtype=torch.long)
                mask[i, longest - len(row) :] = 1
        return cls(ids, mask)

    @classmethod
    def concatenate(cls, parts: Iterable[Tokens], *, pad_id: int = 0) -> Tokens:
        """The rows of all parts in order, padded to the longest."""
        parts = list(parts)
        longest = max(part.length for part in parts)
        pad = torch.nn.functional.pad
        ids = [pad(part.ids, (longest - part.length, 0), value=pad_id) for part in parts]
        mask = [pad(part.mask, (longest - part.length, 0)) for part in parts]
        return cls(torch.cat(ids), torch.cat(mask))

    def __len__(self) -> int:
        return self.ids.shape[0]

    def __getitem__(self, rows: slice | Sequence[int] | Tensor) -> Tokens:
        """The chosen rows. Padding that no chosen row needs is kept, so positions do not move."""
        index = (
            rows if isinstance(rows, slice | Tensor) else torch.tensor(rows, dtype=torch.long, device=self.ids.device)
        )
        return Tokens(self.ids[index], self.mask[index])

    @property
    def length(self) -> int:
        """Positions per row, padding included."""
        return self.ids.shape[1]

    @cached_property
    def longest(self) -> int:
        """Real tokens in the longest row."""
        return int(self.mask.sum(dim=1).max()) if self.mask.numel() else 0

    @cached_property
    def id_range(self) -> tuple[int, int]:
        """The smallest and largest id, padding included."""
        low, high = self.ids.aminmax()
        return int(low), int(high)

    @cached_property
    def position_ids(self) -> Int[Tensor, "batch position"]:
        """The position that the model is told for each token: 0 at the first real token, and 0 at padding."""
        return (self.mask.cumsum(dim=1) - 1).clamp(min=0)

    def trimmed(self) -> Tokens:
        """The same rows without the columns that are padding in every row."""
        real = self.mask.any(dim=0).nonzero()
        start = int(real[0]) if len(real) else 0
        return self if start == 0 else Tokens(self.ids[:, start:], self.mask[:, start:])

    def to(self, device: torch.device | str) -> Tokens:
        return self if self.ids.device == torch.device(device) else Tokens(self.ids.to(device), self.mask.to(device))
