"""Carries a plan out: chunk by chunk, depth by depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from heldout.models.batching import DEFAULT_BUDGET_BYTES
from heldout.models.encoders import first_tokens
from heldout.models.intervene import Edit, apply_edit, at_last_positions
from heldout.models.metrics import Metric
from heldout.models.model import Model
from heldout.models.sublayers import Sublayer, Sublayers
from heldout.models.sweep.depths import Depths, positions_read, sites_to_record
from heldout.models.sweep.entrances import Entrances
from heldout.models.sweep.plan import Chunk, SweepPlan, plan_sweep
from heldout.models.tokens import Tokens
from heldout.shapes import Float

GLIBC_LARGEST_THRESHOLD = 32 << 20

Progress = Callable[[int, int], None]
"""Is told how many edits are done, and how many there are."""


@final
@dataclass(frozen=True, eq=False)
class SweepValues:
    """The metric of every prompt: without an edit (`base`), and with each edit alone."""

    base: Float[Tensor, " batch"]
    values: Float[Tensor, "edit batch"]
    forward_passes: float

    @property
    def effects(self) -> Float[Tensor, "edit batch"]:
        """What each edit changes, in the metric's unit."""
        return self.values - self.base


def sweep(
    model: Model,
    tokens: Tokens,
    edits: Sequence[Edit],
    metric: Metric,
    *,
    budget_bytes: int = DEFAULT_BUDGET_BYTES,
    progress: Progress | None = None,
) -> SweepValues:
    """Runs the model once for each edit, alone, and reads `metric`; see `heldout.models.sweep` for what it saves.

    Raises what `plan_sweep` raises."""
    return run_plan(plan_sweep(model, tokens, edits, metric, budget_bytes=budget_bytes), progress)


@torch.no_grad()
def run_plan(plan: SweepPlan, progress: Progress | None = None) -> SweepValues:
    """Carries `plan` out."""
    before = plan.model.meter.samples
    keep_freed_memory()
    eager = any(edit.site.name == "pattern" for edit in plan.edits)
    depths = Depths.of(plan.model)
    work = Sublayers(plan.model, plan.tokens, sites_to_record(plan.edits, depths), eager=eager, logits=False)
    metric = MetricReading(work, plan.metric, depths)
    entrances = Entrances(work, depths)
    values = metric.base.new_empty(len(plan.edits), len(plan.tokens))
    done = 0
    for chunk in plan.chunks:
        values[list(chunk.members)] = run_chunk(plan.edits, chunk, entrances, metric)
        done += len(chunk.members)
        if progress is not None:
            progress(done, len(plan.edits))
    return SweepValues(metric.base, values, (plan.model.meter.samples - before) / len(plan.tokens))


def keep_freed_memory() -> None:
    """glibc returns large blocks to the system when they are freed, and the page faults of asking for them again cost
    up to a quarter of a sweep; it stops doing so for blocks up to the size of one that was freed."""
    torch.empty(GLIBC_LARGEST_THRESHOLD - 4096, dtype=torch.uint8)


def run_chunk(
    edits: Sequence[Edit], chunk: Chunk, entrances: Entrances, metric: MetricReading
) -> Float[Tensor, "edit batch"]:
    """The metric under each edit of a chunk. Each joins the others at the depth where it enters."""
    work, depths = entrances.work, entrances.depths
    read = [position for position in metric.positions if position >= chunk.start]
    if not read:
        return metric.base.expand(len(chunk.members), -1)
    logits = [member for member in chunk.members if edits[member].site.name == "logits"]
    values = [torch.stack([metric.with_logits(edits[member]) for member in logits])] if logits else []
    pending = list(chunk.members[: len(chunk.members) - len(logits)])
    if not pending:
        return values[0]
    stream: Tensor | None = None
    for depth in range(depths.entrance(edits[pending[0]].site), depths.final + 1):
        kept = read if depth > depths.final - 2 else range(chunk.start, work.tokens.length)
        entering: list[Tensor] = [] if stream is None else [stream]
        while pending and depths.entrance(edits[pending[0]].site) == depth:
            entering.append(entrances.stream(edits[pending.pop(0)], chunk.start, kept))
        stream = torch.cat(entering) if len(entering) > 1 else entering[0]
        if depth < depths.final:
            queries = read if depth == depths.final - 2 and len(read) < stream.shape[1] else None
            stream = advance(work, depths, depth, stream, chunk.start, queries)
    assert stream is not None
    return torch.cat([metric.of_streams(stream.unflatten(0, (-1, len(work.tokens))), read), *values])


def advance(
    work: Sublayers, depths: Depths, depth: int, stream: Tensor, start: int, queries: Sequence[int] | None
) -> Tensor:
    """The stream at the next depth; with `queries`, at those positions only."""
    layer, odd = divmod(depth, 2)
    if odd:
        added = work.transformed(layer, stream) if depths.middle else None
        return stream if added is None else work.joined(Sublayer("mlp", layer), stream, added)
    kept = stream if queries is None else stream[:, [query - start for query in queries]]
    attended = work.attended(layer, stream, start=start, queries=queries)
    if work.model.runs_in_parallel:
        return kept + attended + work.transformed(layer, kept)
    return work.joined(Sublayer("attention", layer), kept, attended)


class MetricReading:
    """The metric, read from streams before the final norm; where an edit reaches only some of the positions that it
    reads, the others are as recorded."""

    def __init__(self, work: Sublayers, metric: Metric, depths: Depths) -> None:
        self._model, self._metric = work.model, metric
        self.positions = positions_read(work.model, metric, work.tokens.length)
        self._work, self._depths = work, depths
        self._recorded_bpd = self._final(self.positions)
        self.base: Float[Tensor, " batch"] = self.of_streams(self._recorded_bpd[None], self.positions)[0]

    def of_streams(
        self, residual: Float[Tensor, "copies batch read d_model"], read: Sequence[int]
    ) -> Float[Tensor, "copies batch"]:
        """`read` are the positions of `residual`, in their order among the metric's."""
        if len(read) < len(self.positions):
            whole = self._recorded_bpd.expand(len(residual), -1, -1, -1).clone()
            whole[:, :, [self.positions.index(position) for position in read]] = residual
            residual = whole
        self._charge(residual[:, :, 0, 0].numel(), len(read) * self._metric.logits_read(self._model))
        if self._model.architecture.reads_first_token:
            residual = first_tokens(residual, self._work.tokens.mask)
        return self._metric.values(self._model, residual)

    def with_logits(self, edit: Edit) -> Float[Tensor, " batch"]:
        """With an edit of the logits themselves."""
        logits_bpv = self._last_logits
        kept = logits_bpv.shape[1]
        part = at_last_positions(edit, kept)
        if part is not None:
            logits_bpv = apply_edit(part, logits_bpv, lambda positions: from_the_end(positions, logits_bpv), axis=1)
        return self._metric.of_logits(logits_bpv[:, [kept + position for position in self._metric.positions]])

    @cached_property
    def _last_logits(self) -> Float[Tensor, "batch last vocabulary"]:
        """Recorded, from the first position that the metric reads."""
        length = self._work.tokens.length
        last = self._final(range(min(self.positions), length))
        self._charge(len(last), last.shape[1] * self._model.vocabulary_size)
        return self._model.unembed(last)

    def _charge(self, rows: int, logits: int) -> None:
        self._model.meter.add(rows * self._work.cost.share(self._work.cost.unembedding(logits)))

    def _final(self, positions: Sequence[int]) -> Float[Tensor, "batch read d_model"]:
        """The recorded stream before the final norm; the last layer is run for `positions` only."""
        depth = self._depths.final - 2
        recorded = self._work.trace[self._depths.stream(depth)]
        queries = positions if len(positions) < self._work.tokens.length else None
        stream = advance(self._work, self._depths, depth, recorded, 0, queries)
        return advance(self._work, self._depths, depth + 1, stream, 0, None)


def from_the_end(positions: Sequence[int], like: Tensor) -> Tensor:
    """Indices of positions counted from the end of axis 1."""
    return torch.tensor([like.shape[1] + position for position in positions], device=like.device)
