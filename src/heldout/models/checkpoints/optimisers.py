"""The state of an optimiser, saved beside the weights."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from heldout.errors import InputError, Problem
from heldout.models.checkpoints.files import first_line

PICKLED = "optimizer.pt"
FILES = (PICKLED, "optimizer.safetensors")


def save_optimiser(optimiser: torch.optim.Optimizer | Mapping[str, Any], folder: Path) -> None:
    state = optimiser.state_dict() if isinstance(optimiser, torch.optim.Optimizer) else dict(optimiser)
    torch.save(state, folder / PICKLED)


def read_optimiser(folder: Path) -> Mapping[str, Any] | None:
    """The state dict of optimizer.pt, read without running code, or the tensors of optimizer.safetensors.

    Raises InputError for a file that cannot be read so."""
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        return None
    try:
        if path.name == PICKLED:
            return torch.load(path, map_location="cpu", weights_only=True)
        return load_file(path)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, OSError, EOFError) as error:
        problem = Problem(
            f"{path.name}, which cannot be read: {first_line(error)}",
            "tensors and plain values, as torch.save writes an optimiser's state dict",
            "save it again, or remove it: measurements of the weights do not need it",
        )
        raise InputError(f"Checkpoint.optimiser_state() of {folder}", problem) from error
