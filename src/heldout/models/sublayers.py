"""A model taken apart at its sublayers: each attention and each MLP can be run on a stream of one's choice.

The modules are the model's own. One forward pass over the prompts records what each attention module is called with
(masks, rotary embeddings), so that it can be called again: with other streams, for copies of the batch, for the last
positions only (the keys and values of the positions before them come from the recorded pass), or for a few queries.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from heldout.errors import InputError, Problem, Problems
from heldout.models.access import Lens
from heldout.models.attention_caches import (
    Complete,
    KeysAndValues,
    KeysReached,
    Prefix,
    Recorder,
    StopAtKeys,
    cache_name,
    without_queries,
)
from heldout.models.attention_patterns import attention_patterns
from heldout.models.cost import PassCost
from heldout.models.fused_activations import fused
from heldout.models.model import Model
from heldout.models.request_checks import check_added, check_causal
from heldout.models.sites import Site
from heldout.models.tokens import Tokens
from heldout.models.trace import Trace
from heldout.shapes import Float


class Sublayer(NamedTuple):
    """One attention or one MLP."""

    kind: Literal["attention", "mlp"]
    layer: int

    def __str__(self) -> str:
        return f"{self.kind}.{self.layer}"


ACTED = frozenset({"q", "k", "v", "z", "pattern"})
Act = Callable[[Tensor], Tensor]
"""Is given the activation of a site, and returns what takes its place (the same tensor, to only look at it)."""


@final
class Sublayers:
    """Built for a batch by one forward pass (of the unedited model), which also reads `sites` into `trace`.

    Streams are [copies · batch, position, d_model] over the positions from `start` (counted from the left) to the last
    one, copy after copy of the batch. Every method is differentiable where gradients are enabled. `eager` uses
    transformers' eager attention throughout, which reading or writing the site `pattern` needs; without `logits` the
    pass ends after the last of the sites and the last layer's attention. GELUs run as one kernel.
    """

    def __init__(
        self,
        model: Model,
        tokens: Tokens,
        sites: Iterable[Site] = (),
        *,
        eager: bool = False,
        logits: bool = True,
    ) -> None:
        refuse_edits(model)
        self.model = model
        self.tokens = tokens.to(model.device)
        self.eager = eager
        self.cost = PassCost.of(model, tokens.length)
        self._arguments: dict[int, dict[str, Any]] = {}
        self._recorded: dict[int, KeysAndValues] = {}
        wanted = dict.fromkeys([Site("resid_pre", 0), Site("z", model.n_layers - 1), *sites])
        with self._attention_as_asked({}), self._recording(), fused(model.activations()):
            self.trace: Trace = model.trace(self.tokens, list(wanted), logits=logits)

    @property
    def embedding(self) -> Float[Tensor, "batch position d_model"]:
        """The stream before the first layer."""
        return self.trace[Site("resid_pre", 0)]

    @property
    def order(self) -> tuple[Sublayer, ...]:
        """Every sublayer, in the order of computation."""
        kinds: tuple[Literal["attention", "mlp"], ...] = (
            ("attention",) if self.model.d_mlp is None else ("attention", "mlp")
        )
        return tuple(Sublayer(kind, layer) for layer in range(self.model.n_layers) for kind in kinds)

    def before(self, sublayer: Sublayer) -> tuple[Sublayer, ...]:
        """The sublayers whose outputs `sublayer` reads; an MLP beside its attention does not read it."""
        earlier = self.order[: self.order.index(sublayer)]
        if sublayer.kind == "mlp" and self.model.runs_in_parallel:
            return earlier[:-1]
        return earlier

    def run(self, sublayer: Sublayer, stream: Float[Tensor, "rows position d_model"]) -> Tensor:
        """What `sublayer` adds to a stream over all positions."""
        work = self.attention if sublayer.kind == "attention" else self.mlp
        return work(sublayer.layer, stream)

    def attention(
        self,
        layer: int,
        stream: Float[Tensor, "rows position d_model"],
        *,
        start: int = 0,
        queries: Sequence[int] | None = None,
        act: Mapping[Site, Act] | None = None,
    ) -> Float[Tensor, "rows position d_model"]:
        """What the attention of `layer` adds to the stream, after any post norm.

        `queries` (positions from the left) asks for those positions only. `act` is called at sites q, k, v, z, pattern
        of this layer with the activation (of q, z and pattern: at the queries), and gives what takes its place. Raises
        InputError where the stream is normed after the sum: callers of this add by themselves."""
        check_added(f"Sublayers.attention({layer})", self.model.architecture)
        return self.attended(layer, stream, start=start, queries=queries, act=act)

    def attended(
        self,
        layer: int,
        stream: Float[Tensor, "rows position d_model"],
        *,
        start: int = 0,
        queries: Sequence[int] | None = None,
        act: Mapping[Site, Act] | None = None,
    ) -> Float[Tensor, "rows position d_model"]:
        """As `attention`, in every family: what is added before a norm of the stream."""
        if act:
            checked_acts(self.model, layer, act, eager=self.eager)
        copies = len(stream) // len(self.tokens)
        normed = self._norm_before(layer)(stream)
        cache = self._cache(layer, copies, start)
        if queries is not None:
            complete = self._keys_and_values(layer, normed, copies, start, act or {})
            normed, cache = normed[:, [query - start for query in queries]], Complete(complete)
        chosen = range(start, self.tokens.length) if queries is None else queries
        self._charge(len(stream), self.cost.attention(len(chosen)))
        acting = {
            site: change for site, change in (act or {}).items() if queries is None or site.name not in ("k", "v")
        }
        with self._acting(acting) as patterns:
            output = self._call(layer, normed, self._arguments_at(layer, copies, chosen), cache, patterns)
            if self.model.architecture.matrices_behind_modules:
                output = self.part(layer, self.model.architecture.output_projection)(output)
        return self.post_attention_norm(layer)(output)

    def mlp(self, layer: int, stream: Float[Tensor, "rows position d_model"]) -> Float[Tensor, "rows position d_model"]:
        """What the MLP of `layer` adds to the stream, after any post norm. Raises InputError as `attention` does."""
        check_added(f"Sublayers.mlp({layer})", self.model.architecture)
        return self.transformed(layer, stream)

    def transformed(
        self, layer: int, stream: Float[Tensor, "rows position d_model"]
    ) -> Float[Tensor, "rows position d_model"]:
        """As `mlp`, in every family: what is added before a norm of the stream."""
        architecture = self.model.architecture
        self._charge(len(stream), self.cost.mlp(stream.shape[1]))
        with fused(self.model.activations([layer])):
            output = self.part(layer, architecture.mlp)(self.mlp_norm(layer)(stream))
        output = output[0] if isinstance(output, tuple) else output
        if architecture.matrices_behind_modules:
            output = self.part(layer, architecture.last_mlp_matrix)(output)
        return self.post_mlp_norm(layer)(output)

    def joined(self, sublayer: Sublayer, stream: Tensor, added: Tensor) -> Tensor:
        """The stream after `sublayer`: the sum, behind the norm of the stream in families that have one."""
        architecture = self.model.architecture
        attention = sublayer.kind == "attention"
        norm = architecture.stream_norm_after_attention if attention else architecture.stream_norm_after_mlp
        return stream + added if norm is None else self.part(sublayer.layer, norm)(stream + added)

    def layer(
        self, layer: int, stream: Float[Tensor, "rows position d_model"], *, start: int = 0
    ) -> Float[Tensor, "rows position d_model"]:
        """The stream after `layer`."""
        attended = self.attended(layer, stream, start=start)
        if self.model.runs_in_parallel and self.model.d_mlp is not None:
            return stream + attended + self.transformed(layer, stream)
        middle = self.joined(Sublayer("attention", layer), stream, attended)
        if self.model.d_mlp is None:
            return middle
        return self.joined(Sublayer("mlp", layer), middle, self.transformed(layer, middle))

    def attention_norm(self, layer: int) -> nn.Module:
        """The norm before the projections; the identity where attention reads the stream as it is. Raises InputError as
        `attention` does."""
        check_added(f"Sublayers.attention_norm({layer})", self.model.architecture)
        return self._norm_before(layer)

    def _norm_before(self, layer: int) -> nn.Module:
        path = self.model.architecture.attention_norm
        return nn.Identity() if path is None else self.part(layer, path)

    def mlp_norm(self, layer: int) -> nn.Module:
        """The norm before the MLP; the identity where the MLP reads the stream as it is."""
        architecture = self.model.architecture
        if architecture.stream_before_mlp == architecture.mlp:
            return nn.Identity()
        return self.part(layer, architecture.stream_before_mlp)

    def post_attention_norm(self, layer: int) -> nn.Module:
        """The norm of what attention adds; the identity in most families."""
        architecture = self.model.architecture
        if architecture.added_by_attention == architecture.output_projection:
            return nn.Identity()
        return self.part(layer, architecture.added_by_attention)

    def post_mlp_norm(self, layer: int) -> nn.Module:
        """The norm of what the MLP adds; the identity in most families."""
        architecture = self.model.architecture
        if architecture.added_by_mlp in (architecture.mlp, architecture.last_mlp_matrix):
            return nn.Identity()
        return self.part(layer, architecture.added_by_mlp)

    def _layer_part(self, layer: int) -> nn.Module:
        return self.model.module.get_submodule(f"{self.model.architecture.layers}.{layer}")

    def part(self, layer: int, path: str) -> nn.Module:
        """A layer's module, by a path of the architecture."""
        return self._layer_part(layer).get_submodule(path)

    def _attention_module(self, layer: int) -> nn.Module:
        return self.part(layer, self.model.architecture.attention)

    def _charge(self, rows: int, multiply_adds: int) -> None:
        self.model.meter.add(rows * self.cost.share(multiply_adds))

    def _call(
        self,
        layer: int,
        normed: Tensor,
        arguments: dict[str, Any],
        cache: Any,
        patterns: Mapping[nn.Module, Act] | None = None,
    ) -> Tensor:
        attention = self._attention_module(layer)
        with self._attention_as_asked(patterns or {}):
            return attention(hidden_states=normed, **{**arguments, cache_name(attention): cache})[0]

    def _cache(self, layer: int, copies: int, start: int) -> Any:
        if start == 0:
            return None
        check_causal(f"Sublayers, keys and values of positions before {start}", self.model.architecture)
        keys, values = self._recorded[layer]
        return Prefix(
            KeysAndValues(keys[:, :, :start].repeat(copies, 1, 1, 1), values[:, :, :start].repeat(copies, 1, 1, 1))
        )

    def _keys_and_values(
        self, layer: int, normed: Tensor, copies: int, start: int, act: Mapping[Site, Act]
    ) -> KeysAndValues:
        """Of all positions; the attention module is left as soon as it has computed them."""
        theirs = {site: change for site, change in act.items() if site.name in ("k", "v")}
        stop = StopAtKeys(self._cache(layer, copies, start))
        positions = range(start, self.tokens.length)
        self._charge(len(normed), self.cost.keys_and_values(len(positions)))
        try:
            with without_queries(self._layer_part(layer), self.model), self._acting(theirs):
                self._call(layer, normed, self._arguments_at(layer, copies, positions), stop)
        except KeysReached as reached:
            return reached.complete
        raise AssertionError("the attention module did not ask its cache for keys and values")

    def _arguments_at(self, layer: int, copies: int, positions: Sequence[int]) -> dict[str, Any]:
        """The recorded arguments for copies of the batch and queries at `positions`."""
        batch, length = len(self.tokens), self.tokens.length
        whole = len(positions) == length
        index = torch.tensor(list(positions), device=self.model.device)

        def copied(tensor: Tensor, axis: int) -> Tensor:
            tensor = tensor if whole else tensor.index_select(axis, index)
            if copies == 1 or batch == 1 or len(tensor) != batch:
                return tensor
            return tensor.repeat(copies, *[1] * (tensor.ndim - 1))

        def adapted(name: str, value: Any) -> Any:
            if name == "attention_mask":
                if value is None:
                    return None if whole or not self.model.architecture.causal else causal_mask(index, length)
                return copied(value, 2)
            if isinstance(value, tuple):
                return tuple(adapted(name, part) for part in value)
            if isinstance(value, Tensor) and value.ndim >= 2 and value.shape[1] == length:
                return copied(value, 1)
            return value

        return {name: adapted(name, value) for name, value in self._arguments[layer].items()}

    @contextmanager
    def _attention_as_asked(self, patterns: Mapping[nn.Module, Act]) -> Generator[None]:
        if self.eager and self.model.architecture.pattern is None:
            with attention_patterns(self.model.module, patterns):
                yield
        else:
            yield

    @contextmanager
    def _acting(self, act: Mapping[Site, Act]) -> Generator[dict[nn.Module, Act]]:
        """Hooks for the sites of `act`, on for one call; gives those that the attention interface carries out."""
        patterns: dict[nn.Module, Act] = {}
        with ExitStack() as stack:
            for site, change in act.items():
                where = self.model.tap(site)
                changed = through_lens(change, where.lens)
                if where.side == "attention":
                    patterns[where.module] = in_turn(patterns.get(where.module), changed)
                elif where.side == "output":
                    hook = where.module.register_forward_hook(lambda _, __, output, changed=changed: changed(output))
                    stack.callback(hook.remove)
                else:
                    hook = where.module.register_forward_pre_hook(
                        lambda _, inputs, changed=changed: (changed(inputs[0]),)
                    )
                    stack.callback(hook.remove)
            yield patterns

    @contextmanager
    def _recording(self) -> Generator[None]:
        """Inside, a forward pass leaves each attention's arguments, and its keys and values, behind."""
        with ExitStack() as stack:
            for layer in range(self.model.n_layers):
                attention = self._attention_module(layer)

                def record(module: nn.Module, _: Any, arguments: dict[str, Any], layer: int = layer) -> Any:
                    given = {name: value for name, value in arguments.items() if name != "hidden_states"}
                    self._arguments[layer] = given
                    recorder = Recorder(lambda both: self._recorded.__setitem__(layer, both))
                    return _, {**arguments, cache_name(module): recorder}

                hook = attention.register_forward_pre_hook(record, with_kwargs=True)
                stack.callback(hook.remove)
            yield


def through_lens(change: Act, lens: Lens) -> Act:
    """`change` of the part of a module's tensor that a lens reads."""

    def changed(raw: Tensor) -> Tensor:
        old = lens.read(raw)
        new = change(old)
        return raw if new is old else lens.write(raw, new)

    return changed


def in_turn(first: Act | None, second: Act) -> Act:
    return second if first is None else lambda raw: second(first(raw))


def refuse_edits(model: Model) -> None:
    """Raises InputError inside `model.intervene`: the recorded pass would have the edits, and what is run again not."""
    if model.edits:
        found = f"a model inside intervene, with edits at {', '.join(str(edit.site) for edit in model.edits)}"
        next_step = "leave `intervene`, or give the edits to the sweep"
        raise InputError(f"Sublayers({model.name!r})", Problem(found, "a model without edits", next_step))


def checked_acts(model: Model, layer: int, act: Mapping[Site, Act], *, eager: bool) -> None:
    """Raises InputError for sites that `attention` does not compute in this layer."""
    problems = Problems(f"Sublayers.attention({layer}, act at {', '.join(map(str, act))})")
    for site in act:
        if site.name not in ACTED or site.layer != layer:
            problems.add(f"the site {site}", f"q, k, v, z or pattern of layer {layer}", "act on one of those")
        elif site.name == "pattern" and not eager and model.architecture.pattern is None:
            problems.add(
                f"the site {site} with a fused attention kernel", "eager=True", "build Sublayers with eager=True"
            )
    problems.raise_if_any()


def causal_mask(queries: Tensor, length: int) -> Tensor:
    """True where the query may see the key, [1, 1, query, key]."""
    return (torch.arange(length, device=queries.device)[None, :] <= queries[:, None])[None, None]
