"""One forward pass with reads and edits: hooks go on, the model runs, hooks come off, also after an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from heldout.models.access import Side, Tap
from heldout.models.attention_patterns import attention_patterns
from heldout.models.intervene import Edit, apply_edit, at_last_positions
from heldout.models.sites import Site


@dataclass
class Actions:
    """What to do with one tensor of the running model: edits in order, then reads."""

    edits: list[tuple[Edit, Tap]] = field(default_factory=list[tuple[Edit, Tap]])
    reads: list[tuple[Site, Tap]] = field(default_factory=list[tuple[Site, Tap]])


class EverythingRead(Exception):  # noqa: N818 (it ends a pass, it is no error)
    """Ends a forward pass early: everything asked for has been read."""


class Pass:
    """The actions of one forward pass, and the activations that it has read.

    `positions` restricts every read; `head_weights(layer)` is W_O, head × d_head × d_model. With `stop_early` the pass
    ends after the last read. With `gradients` every read tensor lies on the way to the logits, so that they can be
    differentiated by it. With `generated` the pass is over one token behind the prompt: there, edits of chosen
    positions (of the prompt) do nothing, and edits of all positions act where their value fits a single token.
    """

    def __init__(
        self,
        edits: Sequence[Edit],
        reads: Sequence[Site],
        tap: Callable[[Site], Tap],
        head_weights: Callable[[int], Tensor],
        *,
        positions: tuple[int, ...] | None = None,
        stop_early: bool = False,
        gradients: bool = False,
        generated: bool = False,
    ) -> None:
        self.activations: dict[Site, Tensor] = {}
        self._positions = positions
        self._generated = generated
        self._head_weights = head_weights
        self._gradients = gradients
        self._pending = len(set(reads)) if stop_early else -1
        self._indices: dict[tuple[object, ...], Tensor] = {}
        self._groups: dict[tuple[nn.Module, Side], Actions] = {}
        for edit in edits:
            where = tap(edit.site)
            self._groups.setdefault((where.module, where.side), Actions()).edits.append((edit, where))
        for site in dict.fromkeys(reads):
            where = tap(site)
            self._groups.setdefault((where.module, where.side), Actions()).reads.append((site, where))

    def run(self, module: nn.Module, **inputs: Any) -> Any:
        """The model's output, or None where the pass ended early."""
        patterns: dict[nn.Module, Callable[[Tensor], Tensor]] = {}
        with ExitStack() as stack:
            for (part, side), actions in sorted(self._groups.items(), key=lambda item: item[0][1] == "output"):
                if side == "attention":
                    patterns[part] = self._on_tensor(actions)
                else:
                    stack.callback(self._hook(part, side, actions).remove)
            if patterns:
                stack.enter_context(attention_patterns(module, patterns, recompute=self._gradients))
            try:
                return module(**inputs)
            except EverythingRead:
                return None

    def _hook(self, module: nn.Module, side: Side, actions: Actions) -> Any:
        act = self._on_tensor(actions)
        if side == "heads":
            return module.register_forward_hook(self._on_heads(actions))
        if side == "result":

            def on_result(_: nn.Module, __: Any, result: Any) -> Any:
                kept = [(at_last_positions(edit, result.logits.shape[1]), where) for edit, where in actions.edits]
                edited = self._edited(result.logits, [(edit, where) for edit, where in kept if edit is not None])
                result.logits = self._read(edited, actions.reads)
                return result

            return module.register_forward_hook(on_result)
        if side == "output":

            def on_output(_: nn.Module, __: Any, output: Any) -> Any:
                return act(output)

            return module.register_forward_hook(on_output)
        if side == "stream":

            def on_stream(_: nn.Module, inputs: tuple[Any, ...]) -> None:
                stream: Tensor = inputs[0]
                if actions.edits:
                    stream.copy_(self._edited(stream.clone() if torch.is_grad_enabled() else stream, actions.edits))
                for site, _tap in actions.reads:
                    self._keep(site, self._select(stream, 1))

            return module.register_forward_pre_hook(on_stream)

        def on_input(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            return (act(inputs[0]), *inputs[1:])

        return module.register_forward_pre_hook(on_input)

    def _on_tensor(self, actions: Actions) -> Callable[[Tensor], Tensor]:
        """The hook's work on a tensor. Hooks cost most in small models, so what is only kept as it is takes a short
        way."""
        if not actions.edits and self._positions is None and all(where.whole for _, where in actions.reads):

            def keep(raw: Tensor) -> Tensor:
                for site, _ in actions.reads:
                    self._keep(site, raw)
                return raw

            return keep

        def act(raw: Tensor) -> Tensor:
            return self._read(self._edited(raw, actions.edits), actions.reads)

        return act

    def _edited(self, raw: Tensor, edits: list[tuple[Edit, Tap]]) -> Tensor:
        for edit, where in edits:
            value = where.lens.read(raw)
            if not self._acts_on(edit, value):
                continue
            axis = edit.site.position_axis
            raw = where.lens.write(raw, apply_edit(edit, value, self._index_of(value, axis), axis=axis))
        return raw

    def _read(self, raw: Tensor, reads: list[tuple[Site, Tap]]) -> Tensor:
        for site, where in reads:
            value = where.lens.read(raw)
            if self._gradients and not where.whole:
                raw = where.lens.write(raw, value)
            self._keep(site, self._select(value, site.position_axis))
        return raw

    def _on_heads(self, actions: Actions) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        """Edits and reads `z[head] @ W_O[head]`; the projection's output changes by the sum of the changes."""

        def on_heads(_: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
            z_bpf: Tensor = inputs[0]
            edited: dict[int, Tensor] = {}

            def heads_of(site: Site, z: Tensor) -> tuple[list[int], Tensor]:
                assert site.layer is not None
                weights = self._head_weights(site.layer)
                z_bphd = z.unflatten(-1, weights.shape[:2])
                if site.head is not None:
                    return [site.head], z_bphd[:, :, site.head] @ weights[site.head]
                return list(range(len(weights))), torch.einsum("bphd,hdm->bphm", z_bphd, weights)

            def value_of(site: Site, *, selected: bool) -> Tensor:
                heads, value = heads_of(site, self._select(z_bpf, 1) if selected else z_bpf)
                for head in edited.keys() & set(heads):
                    new = self._select(edited[head], 1) if selected else edited[head]
                    if site.head is not None:
                        return new
                    value = value.clone()
                    value[:, :, head] = new
                return value

            for edit, _tap in actions.edits:
                old = value_of(edit.site, selected=False)
                if not self._acts_on(edit, old):
                    continue
                new = apply_edit(edit, old, self._index_of(old, 1), axis=1)
                output = output + (new - old if edit.site.head is not None else (new - old).sum(dim=2))
                if edit.site.head is not None:
                    edited[edit.site.head] = new
                else:
                    edited.update(enumerate(new.unbind(dim=2)))
            for site, _tap in actions.reads:
                value = value_of(site, selected=True)
                if self._gradients:
                    value = value.detach().requires_grad_()
                    change = value - value.detach()
                    output = output + (change if site.head is not None else change.sum(dim=2))
                self._keep(site, value)
            return output

        return on_heads

    def _acts_on(self, edit: Edit, value: Tensor) -> bool:
        return not self._generated or (edit.positions is None and not edit.problems(tuple(value.shape)))

    def _keep(self, site: Site, value: Tensor) -> None:
        self.activations[site] = value
        self._pending -= 1
        if self._pending == 0:
            raise EverythingRead

    def _select(self, value: Tensor, axis: int) -> Tensor:
        if self._positions is None:
            return value
        index = self._index_of(value, axis)(self._positions)
        return value.index_select(axis, index)

    def _index_of(self, value: Tensor, axis: int) -> Callable[[tuple[int, ...]], Tensor]:
        size, device = value.shape[axis], value.device

        def index(positions: tuple[int, ...]) -> Tensor:
            key = (positions, size, device)
            if key not in self._indices:
                self._indices[key] = torch.tensor([size + position for position in positions], device=device)
            return self._indices[key]

        return index
