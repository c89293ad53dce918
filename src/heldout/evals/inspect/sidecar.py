"""Activations beside a log: content-addressed safetensors files, and the references to them that a log carries.

A file is named by the SHA-256 of its bytes and holds one tensor a site, [row, position, ...], for the samples that ran
in one batch. A reference says which file, which row, and what is there; it is all that the log grows by. Written once
and never changed, a file can be copied, shared or deleted without touching the log.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load, save
from torch import Tensor

from heldout.errors import InputError, Problem
from heldout.shapes import Float

KEY = "heldout"
"""The key of `ModelOutput.metadata` under which a reference stands, and of a file's header."""


@dataclass(frozen=True)
class Reference:
    """Where one sample's activations are: file, row, and the sites and positions (from the prompt's end) in it."""

    sidecar: str
    row: int
    sites: tuple[str, ...]
    positions: tuple[int, ...]

    def to_metadata(self) -> dict[str, Any]:
        """What `ModelOutput.metadata` holds."""
        return {KEY: {**vars(self), "sites": list(self.sites), "positions": list(self.positions)}}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any] | None) -> Self:
        """Raises InputError where an output carries no reference: it was made without capture."""
        found = (metadata or {}).get(KEY)
        if not isinstance(found, dict) or found.keys() != cls.__dataclass_fields__.keys():
            raise InputError(
                "Reference.from_metadata(...)",
                Problem(
                    "an output without a reference to recorded activations",
                    "an output of the provider heldout that ran with capture=[...]",
                    "run the task again with capture, and score that log",
                ),
            )
        return cls(found["sidecar"], found["row"], tuple(found["sites"]), tuple(found["positions"]))


def write_sidecar(folder: Path, activations: Mapping[str, Float[Tensor, "row position ..."]], about: object) -> str:
    """Writes one file, named by its digest, and returns that digest (`sha256:…`). `about` goes into its header as JSON.

    The file appears whole or not at all."""
    tensors = {site: value.detach().cpu().contiguous() for site, value in activations.items()}
    data = save(tensors, {KEY: json.dumps(about, sort_keys=True)})
    digest = hashlib.sha256(data).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{digest}.{os.getpid()}.writing"
    unfinished.write_bytes(data)
    unfinished.replace(folder / f"{digest}.safetensors")
    return f"sha256:{digest}"


@dataclass(frozen=True)
class Sidecars:
    """A folder of sidecar files. Each file is read once, and checked against its name before it is believed."""

    folder: Path
    _read: dict[str, dict[str, Tensor]] = field(default_factory=dict[str, dict[str, Tensor]], repr=False)

    def activation(self, reference: Reference, site: str, position: int = -1) -> Tensor:
        """What one sample had at `site` and `position`. Raises InputError for a file that is missing or not the one that
        was written, and for a site or a position that was not recorded."""
        called = f"Sidecars({str(self.folder)!r}).activation({site!r}, position={position})"
        if site not in reference.sites:
            _refuse(called, f"the site {site}, which was not recorded", "one of", reference.sites)
        if position not in reference.positions:
            _refuse(called, f"position {position}, which was not recorded", "one of", reference.positions)
        if reference.sidecar not in self._read:
            self._read[reference.sidecar] = self._checked(called, reference.sidecar)
        return self._read[reference.sidecar][site][reference.row, reference.positions.index(position)]

    def activations(self, references: Sequence[Reference], site: str, position: int = -1) -> Float[Tensor, "item ..."]:
        """As `activation`, of several samples."""
        return torch.stack([self.activation(reference, site, position) for reference in references])

    def _checked(self, called: str, digest: str) -> dict[str, Tensor]:
        path = self.folder / f"{digest.removeprefix('sha256:')}.safetensors"
        if not path.is_file():
            raise InputError(
                called,
                Problem(
                    f"no file {path}",
                    "the sidecar that the log refers to",
                    "name the folder that the provider's sidecar=... named, or copy the file there",
                ),
            )
        data = path.read_bytes()
        if (actual := f"sha256:{hashlib.sha256(data).hexdigest()}") != digest:
            raise InputError(
                called,
                Problem(
                    f"{path} has the digest {actual}", digest, "restore the file, or run the task again; do not use it"
                ),
            )
        return load(data)


def _refuse(called: str, found: str, expected: str, known: Sequence[object]) -> None:
    listed = f"{expected} {', '.join(map(str, known))}"
    raise InputError(called, Problem(found, listed, "choose one of these, or run the task again with it"))
