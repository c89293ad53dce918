"""Spline codes: which neurons of an MLP are on.

A ReLU network is linear where no neuron changes its sign, so the pattern of signs (the spline code, Balestriero and
Baraniuk 2018) names the polytope that an activation lies in (Black et al. 2022, arXiv 2211.12312). GELU and SiLU have
no such corners: there the sign of the pre-activation (of the gate, in a gated MLP) stands for the code, and polytopes
are an approximation.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from heldout.errors import InputError, Problem
from heldout.models import Model, Site
from heldout.shapes import Bool, Float


class PreactivationsReached(Exception):  # noqa: N818 (it leaves an MLP, it is no error)
    """Leaves an MLP with what its non-linear function is given."""

    def __init__(self, values: Tensor) -> None:
        self.values = values


def read_site(model: Model, layer: int) -> Site:
    """The stream that the MLP of `layer` reads."""
    return Site("resid_pre" if model.runs_in_parallel else "resid_mid", layer)


def is_piecewise_linear(model: Model, layer: int) -> bool:
    """The neurons are ReLUs, so that codes name regions in which the MLP is exactly linear."""
    return isinstance(activation(model, layer), nn.ReLU)


def mlp_input(model: Model, layer: int, stream: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
    """What the matrices of the MLP are given for a stream: behind its norm, where there is one."""
    path = model.architecture.stream_before_mlp
    return stream if path == model.architecture.mlp else _part(model, layer, path)(stream)


def preactivations(model: Model, layer: int, stream: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_mlp"]:
    """What the MLP's non-linear function is given. Raises InputError for a layer without one."""
    function = activation(model, layer)

    def leave(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        raise PreactivationsReached(inputs[0])

    hook = function.register_forward_pre_hook(leave)
    try:
        _part(model, layer, model.architecture.mlp)(mlp_input(model, layer, stream)[:, None])
    except PreactivationsReached as reached:
        return reached.values[:, 0]
    finally:
        hook.remove()
    raise AssertionError("the MLP did not call its activation")


def spline_code(values: Float[Tensor, "row d_mlp"]) -> Bool[Tensor, "row d_mlp"]:
    """Which neurons are on."""
    return values > 0


def activation(model: Model, layer: int) -> nn.Module:
    """The module that is an MLP's non-linear function. Raises InputError where there is none of that kind."""
    found = model.activations([layer])
    if not found:
        reason = model.missing_sites.get("mlp_post", "the layers have no MLP")
        problem = Problem(f"{model.name}: {reason}", "a dense MLP", "choose a model whose layers have one MLP each")
        raise InputError(f"polytopes of layer {layer}", problem)
    return found[0]


def _part(model: Model, layer: int, path: str) -> nn.Module:
    return model.module.get_submodule(f"{model.architecture.layers}.{layer}.{path}")
