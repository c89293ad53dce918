"""A model whose backward pass follows other rules than the gradient, for as long as a context lasts.

Each rule replaces a tensor t of the forward pass by t.detach() + (s − s.detach()): the values of t, to the last bit, and
the derivative of a surrogate s. Hooks and one torch function mode put the surrogates in place, through the
architecture's map, so that every family runs its own code.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from heldout.models import Model
from heldout.models.attention_patterns import attention_patterns
from heldout.models.norms import frozen_norm
from heldout.techniques.attribution.rules import BackwardRules

SOFTMAXES = frozenset({nn.functional.softmax, torch.softmax, Tensor.softmax})


@contextmanager
def backward_rules(model: Model, rules: BackwardRules) -> Generator[None]:
    """Inside, forward passes of `model` record graphs whose backward pass follows `rules`. Enter it before the passes'
    own hooks: sites are then read behind the rules, and have the rules' gradients."""
    with ExitStack() as stack:
        for part, hook in _output_rules(model, rules):
            stack.callback(part.register_forward_hook(hook).remove)
        for part, pre_hook in _input_rules(model, rules):
            stack.callback(part.register_forward_pre_hook(pre_hook).remove)
        if rules.changes_attention:
            stack.enter_context(attention_softmax(model, lambda scores, pattern: _surrogate(rules, scores, pattern)))
        yield


def _output_rules(model: Model, rules: BackwardRules) -> Iterator[tuple[nn.Module, Callable[..., Tensor]]]:
    """Modules whose output is given another derivative."""
    if rules.frozen_norms:
        yield from ((norm, _with_frozen_scale) for norm in norms(model))
    if rules.activation_as_factor:
        yield from ((activation, _as_factor) for activation in activations(model))


def _input_rules(model: Model, rules: BackwardRules) -> Iterator[tuple[nn.Module, Callable[..., Any]]]:
    """Modules whose input is given another derivative."""
    architecture = model.architecture
    for part in layers(model):
        if rules.attention_share != 1.0:
            yield part.get_submodule(architecture.output_projection), _share_of_first(rules.attention_share)
        experts = experts_of(part, model)
        if experts is not None:
            # Of an expert's input, only its gated product makes use: their gradients differ by the same factor.
            yield experts, _share_of_first(rules.gate_share)
            if rules.frozen_patterns:
                yield experts, _fixed_routing
        elif architecture.gated_mlp and rules.gate_share != 1.0:
            yield part.get_submodule(architecture.last_mlp_matrix), _share_of_first(rules.gate_share)


def with_derivative_of(surrogate: Tensor, value: Tensor) -> Tensor:
    """The numbers of `value` and the derivative of `surrogate`."""
    return value.detach() + (surrogate - surrogate.detach())


class NormWithoutHooks(nn.Module):
    """A norm whose hooks, among them those that read sites, do not notice that it is called."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.forward = part.forward


def _with_frozen_scale(norm: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    frozen = frozen_norm(NormWithoutHooks(norm), inputs[0].detach())
    return with_derivative_of(frozen.linear(inputs[0]), output)


def _as_factor(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """act(x) / x is a constant; 0 where x is 0, and with it act(x)."""
    before = inputs[0]
    with torch.no_grad():
        factor = torch.where(before == 0, torch.zeros_like(before), output / before)
    return with_derivative_of(before * factor, output)


def _share_of_first(share: float) -> Callable[..., tuple[Any, ...]]:
    def scaled(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (with_derivative_of(inputs[0] * share, inputs[0]), *inputs[1:])

    return scaled


def _fixed_routing(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    hidden, *routing = inputs
    return (hidden, *(part.detach() for part in routing))


def _surrogate(rules: BackwardRules, scores: Tensor, pattern: Tensor) -> Tensor:
    """The pattern, as the rules let it depend on its scores."""
    if rules.frozen_patterns:
        return pattern.detach()
    temperature = rules.softmax_temperature
    tempered = pattern if temperature == 1.0 else torch.softmax(scores / temperature, dim=-1, dtype=pattern.dtype)
    return with_derivative_of(tempered * (temperature * rules.attention_share), pattern)


@contextmanager
def attention_softmax(model: Model, act: Callable[[Tensor, Tensor], Tensor]) -> Generator[None]:
    """Inside, attention is eager, and `act(scores, pattern)` gives what takes the place of each pattern
    [batch, head, query, key]; the scores are those behind scaling, soft-cap and mask."""
    mode = SoftmaxMode(act)
    with ExitStack() as stack:
        for part in layers(model):
            attention = part.get_submodule(model.architecture.attention)
            stack.callback(attention.register_forward_pre_hook(lambda *_: mode.enter()).remove)
            stack.callback(attention.register_forward_hook(lambda *_: mode.leave()).remove)
        if model.architecture.pattern is None:
            stack.enter_context(attention_patterns(model.module, {}))
        stack.enter_context(mode)
        yield


class SoftmaxMode(TorchFunctionMode):
    """Lets `act` see, and replace, every softmax inside an attention module (a router's softmax is outside)."""

    def __init__(self, act: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self._act = act
        self._inside = False

    def enter(self) -> None:
        self._inside = True

    def leave(self) -> None:
        self._inside = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        return self._act(args[0], result) if self._inside and func in SOFTMAXES else result


def layers(model: Model) -> Iterator[nn.Module]:
    path = model.architecture.layers
    return (model.module.get_submodule(f"{path}.{layer}") for layer in range(model.n_layers))


def experts_of(layer: nn.Module, model: Model) -> nn.Module | None:
    """The experts of a layer's MLP; None where it is no mixture."""
    mlp = getattr(layer, model.architecture.mlp, None)
    return getattr(mlp, "experts", None)


def norms(model: Model) -> list[nn.Module]:
    """Every norm of the model: of the stream, behind sublayers, of queries and keys, and the final one."""
    inside = [part for layer in layers(model) for part in layer.modules()]
    parts = [*inside, model.module.get_submodule(model.architecture.final_norm)]
    return [part for part in dict.fromkeys(parts) if "norm" in type(part).__name__.lower()]


def activations(model: Model) -> list[nn.Module]:
    """The modules that are the MLPs' non-linear functions."""
    found: list[nn.Module] = []
    for layer in layers(model):
        experts = experts_of(layer, model)
        if experts is not None:
            found.append(experts.get_submodule("act_fn"))
        elif model.d_mlp is not None:
            found.append(layer.get_submodule(model.architecture.activation))
    return list(dict.fromkeys(found))
