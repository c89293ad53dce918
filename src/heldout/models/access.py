"""From a site to the tensor inside the running model that holds it: which module, which side of it, and which slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from heldout.models.architectures import Architecture, Fused
from heldout.models.dimensions import Dimensions
from heldout.models.sites import Site

Side = Literal["input", "stream", "heads", "output", "attention", "result"]
"""Where a hook finds the tensor: a module's input (`stream`: an input that other code also holds, so that an edit has
to be made in place), the per-head parts of an output projection's output, a module's output, the pattern inside
transformers' attention interface, or the model's result."""


@dataclass(frozen=True)
class Whole:
    """The activation is the tensor."""

    def read(self, raw: Tensor) -> Tensor:
        return raw

    def write(self, raw: Tensor, value: Tensor) -> Tensor:
        return value


@dataclass(frozen=True)
class HeadColumns:
    """Heads lie side by side in the last axis, `start` columns in; one head, or all of them on an axis of their own."""

    start: int
    heads: int
    d_head: int
    head: int | None

    def _columns(self) -> slice:
        if self.head is None:
            return slice(self.start, self.start + self.heads * self.d_head)
        first = self.start + self.head * self.d_head
        return slice(first, first + self.d_head)

    def read(self, raw: Tensor) -> Tensor:
        part = raw[..., self._columns()]
        return part.unflatten(-1, (self.heads, self.d_head)) if self.head is None else part

    def write(self, raw: Tensor, value: Tensor) -> Tensor:
        written = raw.clone()
        written[..., self._columns()] = value.flatten(-2) if self.head is None else value
        return written


@dataclass(frozen=True)
class InterleavedColumns:
    """The last axis holds, for each head, its query, key and value; `part` 0, 1 or 2 is the one wanted."""

    part: int
    heads: int
    d_head: int
    head: int | None

    def read(self, raw: Tensor) -> Tensor:
        part = raw.unflatten(-1, (self.heads, 3, self.d_head))[..., self.part, :]
        return part if self.head is None else part[..., self.head, :]

    def write(self, raw: Tensor, value: Tensor) -> Tensor:
        written = raw.clone()
        self.read(written).copy_(value)
        return written


@dataclass(frozen=True)
class HeadOfPattern:
    """One head of a tensor with axes batch, head, query, key."""

    head: int

    def read(self, raw: Tensor) -> Tensor:
        return raw[:, self.head]

    def write(self, raw: Tensor, value: Tensor) -> Tensor:
        written = raw.clone()
        written[:, self.head] = value
        return written


Lens = Whole | HeadColumns | InterleavedColumns | HeadOfPattern
"""How a site's activation lies inside a module's tensor: `read(raw)` takes it out, `write(raw, value)` gives a tensor
with another value in its place."""


@dataclass(frozen=True)
class Tap:
    """Where a site is found in a running model."""

    module: nn.Module
    side: Side
    lens: Lens

    @property
    def whole(self) -> bool:
        """The activation is the module's tensor, not a part of it."""
        return isinstance(self.lens, Whole)


WHOLE = Whole()


def tap(module: nn.Module, architecture: Architecture, dimensions: Dimensions, site: Site) -> Tap:
    """The place of `site`, which must be one that the model has."""
    if site.name == "logits":
        return Tap(module, "result", WHOLE)
    assert site.layer is not None
    layer = module.get_submodule(f"{architecture.layers}.{site.layer}")
    match site.name:
        case "resid_pre":
            return Tap(layer, "input", WHOLE)
        case "resid_post":
            return Tap(layer, "output", WHOLE)
        case "resid_mid" if architecture.stream_norm_after_attention is not None:
            return Tap(layer.get_submodule(architecture.stream_norm_after_attention), "output", WHOLE)
        case "resid_mid":
            return Tap(layer.get_submodule(architecture.stream_before_mlp), "stream", WHOLE)
        case "attn_out":
            return Tap(layer.get_submodule(architecture.added_by_attention), "output", WHOLE)
        case "mlp_out":
            return Tap(layer.get_submodule(architecture.added_by_mlp), "output", WHOLE)
        case "mlp_post":
            return Tap(layer.get_submodule(architecture.last_mlp_matrix), "input", WHOLE)
        case "z":
            lens = HeadColumns(0, dimensions.n_heads, dimensions.d_head, site.head)
            return Tap(layer.get_submodule(architecture.output_projection), "input", lens)
        case "head_out":
            return Tap(layer.get_submodule(architecture.output_projection), "heads", WHOLE)
        case "pattern":
            lens = WHOLE if site.head is None else HeadOfPattern(site.head)
            if architecture.pattern is None:
                return Tap(layer.get_submodule(architecture.attention), "attention", lens)
            return Tap(layer.get_submodule(architecture.pattern), "output", lens)
        case _:
            return projection_tap(layer, architecture, dimensions, site)


def projection_tap(layer: nn.Module, architecture: Architecture, dimensions: Dimensions, site: Site) -> Tap:
    """The place of q, k or v in a layer's module."""
    part = "qkv".index(site.name)
    heads = dimensions.n_key_value_heads if part else dimensions.n_heads
    projections = architecture.projections
    if not isinstance(projections, Fused):
        path = (projections.query, projections.key, projections.value)[part]
        return Tap(layer.get_submodule(path), "output", HeadColumns(0, heads, dimensions.d_head, site.head))
    fused = layer.get_submodule(projections.path)
    if projections.order == "interleaved":
        return Tap(fused, "output", InterleavedColumns(part, heads, dimensions.d_head, site.head))
    before = (0, dimensions.n_heads, dimensions.n_heads + dimensions.n_key_value_heads)[part]
    return Tap(fused, "output", HeadColumns(before * dimensions.d_head, heads, dimensions.d_head, site.head))


def head_output_weights(layer: nn.Module, architecture: Architecture, dimensions: Dimensions) -> Tensor:
    """W_O of a layer, head × d_head × d_model: a view of the output projection's weight."""
    weight: Any = layer.get_submodule(architecture.output_projection).weight
    if not architecture.weights_input_first:
        weight = weight.T
    return weight.unflatten(0, (dimensions.n_heads, dimensions.d_head))
