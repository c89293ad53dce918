"""What a checkpoint's files say: which are whole, how large the model is, and what identifies its weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoConfig

from heldout.errors import Problems
from heldout.models.checkpoint_checks import TOKENIZER_FILES
from heldout.models.digests import tensor_bytes

INDEX = "model.safetensors.index.json"
OPTIMISER = "optimizer"
"""How files of the optimiser begin; transformers' Trainer calls them so."""

Stamps = dict[str, tuple[int, int]]
"""Size in bytes and time of modification in nanoseconds, by the names of files."""


def is_weights(name: str) -> bool:
    return name.endswith(".safetensors") and not name.startswith(OPTIMISER)


def weight_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.safetensors") if is_weights(path.name))


def stamps(folder: Path) -> Stamps:
    """Of every file that the digest of a folder covers."""
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    return {path.name: ((stat := path.stat()).st_size, stat.st_mtime_ns) for path in files}


def has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def read_values(folder: Path, problems: Problems) -> dict[str, int]:
    """Parameters (numbers that the weights hold), width and depth; a problem for every file that is missing or broken."""
    config = read_config(folder, problems)
    parameters = count_parameters(folder, problems)
    sizes = {"width": getattr(config, "hidden_size", None), "depth": getattr(config, "num_hidden_layers", None)}
    return {"parameters": parameters, **{name: size for name, size in sizes.items() if size is not None}}


def read_config(folder: Path, problems: Problems) -> Any:
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # validators of configs raise errors of many kinds
        reason = "no config.json" if not (folder / "config.json").is_file() else first_line(error)
        problems.add(
            f"{folder.name}: a config that cannot be read: {reason}",
            "config.json as save_pretrained wrote it",
            "save or copy this checkpoint again",
        )


def count_parameters(folder: Path, problems: Problems) -> int:
    files, total = weight_files(folder), 0
    missing = sorted(shards(folder) - {file.name for file in files})
    if missing or not files:
        problems.add(
            f"{folder.name}: no {', '.join(missing) or '*.safetensors'}",
            "the weights, as safetensors",
            "save or copy this checkpoint again",
        )
    for file in files:
        try:
            with safe_open(file, framework="pt") as tensors:
                total += sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            problems.add(
                f"{folder.name}: {file.name}, which cannot be read: {first_line(error)}",
                "a whole safetensors file",
                "save or copy this checkpoint again",
            )
    return total


def shards(folder: Path) -> set[str]:
    """The files that the index of divided weights names; none where there is no index, or one that is broken."""
    try:
        index: Any = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return set(index["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def weights_digest(folder: Path) -> str:
    """`sha256:...` over the tensors of a folder, however they are divided into files."""
    with ExitStack() as stack:
        opened = [stack.enter_context(safe_open(file, framework="pt")) for file in weight_files(folder)]
        where = sorted((name, file) for file, tensors in enumerate(opened) for name in tensors.keys())  # noqa: SIM118
        return tensors_digest((name, opened[file].get_tensor(name)) for name, file in where)


def state_digest(state: Mapping[str, Tensor]) -> str:
    """As `weights_digest`, of a state dict."""
    return tensors_digest(item for item in sorted(state.items()))


def tensors_digest(named: Generator[tuple[str, Tensor]]) -> str:
    digest = hashlib.sha256()
    for name, tensor in named:
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor_bytes(tensor))
    return f"sha256:{digest.hexdigest()}"


def names_digest(digests: Sequence[str]) -> str:
    """`sha256:...` over digests of files alone, for weights that are not here."""
    return f"sha256:{hashlib.sha256(' '.join(sorted(digests)).encode()).hexdigest()}"


def first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
