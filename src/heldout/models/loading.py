"""Opens a checkpoint: a Hugging Face folder or hub id."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from heldout.errors import InputError, Problem, Problems
from heldout.models.architectures import ARCHITECTURES, Architecture
from heldout.models.checkpoint_checks import check_checkpoint
from heldout.models.digests import folder_digest
from heldout.models.encoders import Encoder, architectures_in, is_encoder
from heldout.models.model import Model
from heldout.models.packaged import MINILM, minilm_folder

WANTED_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.py")
PROGRESS_FROM_BYTES = 1 << 30


def load(
    path_or_id: str | os.PathLike[str],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    allow_remote_code: bool = False,
    tokenizer_folder: str | os.PathLike[str] | None = None,
) -> Model:
    """The model of a folder or hub id, or "minilm" (the sentence encoder that the extra of that name installs), in
    evaluation mode, with frozen parameters, in the stored dtype unless one is given. Its tokenizer lies beside the weights
    unless `tokenizer_folder` says where else. An encoder is opened with the head that its config names
    (`heldout.models.encoders`).

    Only safetensors weights are read. Code that comes with a checkpoint runs only with `allow_remote_code`. Raises
    InputError naming every problem found: a missing folder, config, tokenizer or weights; pickled weights; remote
    code; a family without a map in `heldout.models.architectures`; a tokenizer of another model; weights that are
    missing, NaN or infinite."""
    called = f"heldout.load({str(path_or_id)!r})"
    folder = checkpoint_folder(path_or_id)
    kind, architectures = (AutoModelForCausalLM, ARCHITECTURES)
    if is_encoder(folder):
        kind, architectures = Encoder, architectures_in(called, folder)
    tokenizer = check_checkpoint(
        called,
        folder,
        Path(tokenizer_folder or folder),
        allow_remote_code=allow_remote_code,
        families=dict.fromkeys([*ARCHITECTURES, *architectures]),
    )
    module, architecture = opened(
        called, folder, kind, dtype=dtype, allow_remote_code=allow_remote_code, architectures=architectures
    )
    module = module.to(device).eval().requires_grad_(False)
    name = "/".join(folder.resolve().parts[-2:]) if Path(path_or_id).is_dir() else str(path_or_id)
    return Model(module, tokenizer, name=name, architecture=architecture, digest=partial(folder_digest, folder))


def as_model(source: Model | str | os.PathLike[str], *, allow_remote_code: bool = False) -> Model:
    """A model as it is, or what `load` makes of a folder, hub id or name."""
    return source if isinstance(source, Model) else load(source, allow_remote_code=allow_remote_code)


def opened(
    called: str,
    folder: Path,
    kind: Any,
    *,
    dtype: torch.dtype | None,
    allow_remote_code: bool,
    architectures: Mapping[str, Architecture] = ARCHITECTURES,
) -> tuple[torch.nn.Module, Architecture]:
    """The model of a checked folder as `kind`, one of transformers' automatic classes, reads it, with its family's map.

    Raises InputError for weights that are missing or have other shapes, and for modules that the map does not find."""
    problems = Problems(called)
    try:
        with quiet_if_small(folder):
            loaded: Any = kind.from_pretrained(
                folder,
                dtype=dtype or "auto",
                trust_remote_code=allow_remote_code,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except (ValueError, TypeError, KeyError, RuntimeError, OSError) as error:
        problems.add(
            f"a checkpoint that transformers cannot open: {str(error).strip()}",
            "a config and weights that belong together",
            "restore config.json and the weights as save_pretrained wrote them",
        )
        raise InputError(called, *problems.found) from error
    module, report = loaded
    architecture = architectures[module.config.model_type]
    for name, stored, expected in report["mismatched_keys"]:
        problems.add(
            f"{name} of shape {tuple(stored)}", f"shape {tuple(expected)}, by config.json", "restore the right config"
        )
    if report["missing_keys"]:
        problems.add(
            f"no weights for {', '.join(sorted(report['missing_keys']))}",
            "a weight for every parameter: others would be random",
            "save the whole model, with its output layer, by save_pretrained",
        )
    for path in unknown_paths(module, architecture):
        problems.add(
            f"no module {path}, where {architecture.family} models have it",
            f"the modules of transformers' own {architecture.family}",
            "load without remote code, or convert the checkpoint",
        )
    problems.raise_if_any()
    return module, architecture


def checkpoint_folder(path_or_id: str | os.PathLike[str]) -> Path:
    """The folder itself, that of a packaged checkpoint, or the local copy of a hub id's config, tokenizer and safetensors
    files."""
    text, called = os.fspath(path_or_id), f"heldout.load({str(path_or_id)!r})"
    folder = Path(text)
    if folder.is_dir():
        return folder
    if text == MINILM:
        return minilm_folder()
    if looks_like_a_path(text) or isinstance(path_or_id, os.PathLike):
        found = f"a file at {text}" if folder.is_file() else f"no folder at {text}"
        raise InputError(
            called, Problem(found, "a checkpoint folder, or a hub id of the form owner/name", "correct the path")
        )
    try:
        return Path(snapshot_download(text, allow_patterns=list(WANTED_FILES), ignore_patterns=["*/*"]))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            called,
            Problem(
                f"no folder of that name, and the hub gave: {reason}",
                "a folder, or the id of a model that can be downloaded or is in the local cache",
                "correct the name, go online, or download the checkpoint first and give its folder",
            ),
        ) from error


@contextmanager
def quiet_if_small(folder: Path) -> Generator[None]:
    """Long work shows progress; a checkpoint that loads at once needs no bar."""
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if size > PROGRESS_FROM_BYTES or not transformers_logging.is_progress_bar_enabled():
        yield
        return
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.enable_progress_bar()


def looks_like_a_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or text.count("/") > 1 or "\\" in text or text.endswith("/")


def unknown_paths(module: torch.nn.Module, architecture: Architecture) -> list[str]:
    """Paths of the architecture's map that the module does not have."""
    names = dict(module.named_modules())
    wanted = [architecture.layers, architecture.embedding, architecture.final_norm, architecture.unembedding]
    wanted += [f"{architecture.layers}.0.{path}" for path in architecture.layer_paths().values()]
    return [path for path in dict.fromkeys(wanted) if path not in names]
