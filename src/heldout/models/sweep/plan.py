"""What a sweep will do and cost: pure data, made before any forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import final

from heldout.models.batching import DEFAULT_BUDGET_BYTES
from heldout.models.intervene import Edit
from heldout.models.metrics import Metric
from heldout.models.model import Model
from heldout.models.sweep.checks import check_sweep
from heldout.models.sweep.depths import Depths, positions_reached, sites_to_record
from heldout.models.sweep.estimates import SweepCost, SweepMemory
from heldout.models.tokens import Tokens

CALL_TOKENS = 2048
"""Positions that one call of a sublayer works on: more no longer makes a processor faster, but takes memory."""


@final
@dataclass(frozen=True)
class Chunk:
    """Edits that run together: `members` are numbers of edits, from the shallowest to the deepest; all of them leave
    the positions before `start` (from the left) as they are."""

    members: tuple[int, ...]
    start: int


@final
@dataclass(frozen=True, eq=False)
class SweepPlan:
    """`forward_passes` counts whole passes over the batch (all logits), the recorded pass included; `bytes` is an
    upper estimate of the memory beside the weights."""

    model: Model
    tokens: Tokens
    edits: tuple[Edit, ...]
    metric: Metric
    chunks: tuple[Chunk, ...]
    forward_passes: float
    bytes: int


def plan_sweep(
    model: Model,
    tokens: Tokens,
    edits: Sequence[Edit],
    metric: Metric,
    *,
    budget_bytes: int = DEFAULT_BUDGET_BYTES,
) -> SweepPlan:
    """Plans one run of the model for each edit.

    Raises InputError naming everything that is wrong with edits, metric and budget, before anything runs."""
    tokens = tokens.to(model.device)
    depths = Depths.of(model)
    memory = SweepMemory(model, tokens, sites_to_record(edits, depths))
    check_sweep(model, tokens, edits, metric, budget_bytes, memory.recorded + memory.one_edit)
    size = max(1, (budget_bytes - memory.recorded) // memory.one_edit)
    if model.device.type == "cpu":
        size = max(1, min(size, CALL_TOKENS // tokens.ids.numel()))
    chunks = tuple(chunked(edits, depths, tokens.length, size))
    cost = SweepCost(model, tokens, metric)
    alone = sum(cost.edit(edits[i], chunk.start) for chunk in chunks for i in chunk.members)
    passes = cost.recorded + cost.logits(edits) + alone
    largest = max((len(chunk.members) for chunk in chunks), default=0)
    return SweepPlan(model, tokens, tuple(edits), metric, chunks, passes, memory.recorded + largest * memory.one_edit)


def chunked(edits: Sequence[Edit], depths: Depths, length: int, size: int) -> Iterator[Chunk]:
    """Edits with the same first position together, in the order of their depths, at most `size` at a time."""
    firsts = [positions_reached(edit, length, causal=depths.causal) for edit in edits]
    order = sorted(range(len(edits)), key=lambda i: (firsts[i], depths.entrance(edits[i].site), i))
    for start, group in groupby(order, key=lambda i: firsts[i]):
        members = list(group)
        for first in range(0, len(members), size):
            yield Chunk(tuple(members[first : first + size]), start)
