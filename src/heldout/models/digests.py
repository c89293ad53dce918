"""What identifies a model's weights: a digest of files, or of tensors where there are no files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def folder_digest(folder: Path) -> str:
    """`sha256:...` over the names and digests of config.json and every *.safetensors file of a folder."""
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    return files_digest({file.name: file_digest(file) for file in files})


def files_digest(digests: Mapping[str, str]) -> str:
    """The `folder_digest` of files whose own digests are known: config.json first, then the others by name."""
    names = sorted(digests, key=lambda name: (name != "config.json", name))
    listing = "\n".join(f"{name} {digests[name]}" for name in names)
    return f"sha256:{hashlib.sha256(listing.encode()).hexdigest()}"


def file_digest(path: Path) -> str:
    """`sha256:...` over the bytes of one file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def module_digest(module: nn.Module) -> str:
    """`sha256:...` over a module's config and the bytes of its state, in the order of the names."""
    config: Any = module.config
    settings = {name: value for name, value in config.to_dict().items() if not name.startswith("_")}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor_bytes(tensor))
    return f"sha256:{digest.hexdigest()}"


def tensor_bytes(tensor: Tensor) -> bytes:
    """The bytes of a tensor's values, row by row."""
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
