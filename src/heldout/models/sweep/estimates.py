"""What a sweep takes, estimated from shapes: bytes, and forward passes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod

from heldout.models.cost import PassCost
from heldout.models.intervene import Edit
from heldout.models.metrics import Metric
from heldout.models.model import Model
from heldout.models.sites import Site
from heldout.models.sweep.depths import Depths, positions_read
from heldout.models.tokens import Tokens

RECORDED = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "mlp_post", "z", "q", "k", "v")


class SweepMemory:
    """Bytes of a sweep over a batch, upper estimates: what is `recorded` of `sites` (None: of every site but patterns),
    and what `one_edit` needs beside it."""

    def __init__(self, model: Model, tokens: Tokens, sites: Collection[Site] | None = None) -> None:
        size, element = model.dimensions, model.dtype.itemsize
        rows, length = tokens.ids.shape
        if sites is None:
            names = [name for name in RECORDED if name not in model.missing_sites]
            sites = [Site(name, layer) for name in names for layer in range(size.n_layers)]
        kept = sum(prod(size.shape_at(site, rows, length, length)) for site in sites if site.name != "logits")
        keys = 2 * size.n_layers * rows * length * size.n_key_value_heads * size.d_head
        stream = rows * length * size.d_model
        heads = rows * length * size.d_head * (2 * size.n_heads + 4 * size.n_key_value_heads)
        hidden = 4 * rows * length * (size.d_mlp or 0)
        pattern = 2 * rows * size.n_heads * length * length * 4
        logits = 3 * rows * size.vocabulary_size * 4
        whole_heads = 3 * stream * size.n_heads if any(s.name == "head_out" and s.head is None for s in sites) else 0
        self.recorded = element * (kept + keys + whole_heads) + logits
        if any(site.name == "logits" for site in sites):
            self.recorded += 3 * rows * length * size.vocabulary_size * 4
        self.one_edit = element * (4 * stream + max(heads, hidden)) + pattern + logits


class SweepCost:
    """Forward passes of the parts of a sweep, as shares of a whole pass over one prompt of this length."""

    def __init__(self, model: Model, tokens: Tokens, metric: Metric) -> None:
        self._pass = PassCost.of(model, tokens.length)
        self._model, self._length = model, tokens.length
        self._depths = Depths.of(model)
        self._read = tuple(positions_read(model, metric, tokens.length))
        self._tokens = metric.logits_read(model)
        self.recorded = 1.0 + self._last_layer(len(self._read), self._tokens)

    def logits(self, edits: Sequence[Edit]) -> float:
        """What edits of the logits cost together: the last layer and all logits at the last positions, once."""
        if not any(edit.site.name == "logits" for edit in edits):
            return 0.0
        return self._last_layer(self._length - min(self._read), self._model.vocabulary_size)

    def _last_layer(self, positions: int, tokens: int) -> float:
        work = self._pass.keys_and_values(self._length) if positions < self._length else 0
        work += sum(self._step(odd, positions) for odd in (0, 1))
        return self._pass.share(work + self._pass.unembedding(positions * tokens))

    def edit(self, edit: Edit, start: int) -> float:
        """One edit whose first position is `start`."""
        read = [position for position in self._read if position >= start]
        positions, layers = self._length - start, self._model.n_layers
        if edit.site.name == "logits":
            return 0.0
        work = self._entering(edit, positions) if read else 0
        for depth in range(self._depths.entrance(edit.site), 2 * layers if read else 0):
            layer, odd = divmod(depth, 2)
            last = layer == layers - 1
            if not odd and last:
                work += self._pass.keys_and_values(positions) if len(read) < positions else 0
            work += self._step(odd, len(read) if last else positions)
        return self._pass.share(work + self._pass.unembedding(len(read) * self._tokens))

    def _step(self, odd: int, positions: int) -> int:
        has_mlp = self._model.d_mlp is not None
        if self._model.runs_in_parallel:
            return 0 if odd else self._pass.attention(positions) + self._pass.mlp(positions)
        if odd:
            return self._pass.mlp(positions) if has_mlp else 0
        return self._pass.attention(positions)

    def _entering(self, edit: Edit, positions: int) -> int:
        """A projection or a pattern needs its attention computed again; other sites are a change of the stream."""
        return self._pass.attention(positions) if edit.site.name in ("q", "k", "v", "pattern") else 0
