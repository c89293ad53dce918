"""Copies of a model to be changed: the candidate itself is never written to."""

from __future__ import annotations

import copy

import torch

from heldout.models import Model


def copied(model: Model) -> Model:
    """A deep copy whose forward passes are counted on the original's meter."""
    twin = Model(copy.deepcopy(model.module), model.tokenizer, name=model.name, architecture=model.architecture)
    twin.meter = model.meter
    return twin


def copy_bytes(model: Model) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in model.module.parameters())


def trained_copy_bytes(model: Model) -> int:
    """Weights, gradients and Adam's two moments in float32."""
    return 4 * 4 * model.n_parameters


def trainable(model: Model) -> Model:
    """A copy in float32 whose parameters take gradients; it stays in evaluation mode."""
    twin = copied(model)
    twin.module.to(torch.float32).requires_grad_(True)
    return twin


def memory_obstacle(needed: int, allowed: int) -> str | None:
    if needed <= allowed:
        return None
    return f"a copy of the model needs {needed / 2**20:.0f} MiB, and the settings allow {allowed / 2**20:.0f} MiB"
