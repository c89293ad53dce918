"""A model that heldout has open, as a model of Inspect."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inspect_ai.model import Model as InspectModel
from inspect_ai.model import get_model

from heldout.models import Model, Site


def inspect_model(
    model: Model,
    *,
    capture: Iterable[Site | str] = (),
    positions: Iterable[int] = (-1,),
    sidecar: str | Path | None = None,
    batch_size: int = 32,
) -> InspectModel:
    """Inspect's face of an open model: edits that are in force on it apply. In logs it is `heldout/NAME`; the arguments are
    those of the provider (`HeldoutAPI`). Raises InputError."""
    sites = [str(site) for site in capture]
    arguments: dict[str, Any] = {"batch_size": batch_size}
    if sites:
        arguments |= {"capture": sites, "positions": list(positions)}
    if sidecar is not None:
        arguments["sidecar"] = str(sidecar)
    made = get_model(f"heldout/{model.name}", memoize=False, loaded=model, **arguments)
    # The open model itself is no argument that a log could keep.
    made.model_args = arguments
    return made
