"""Looks through a checkpoint folder before the model is built, and reports all that is wrong with it at once."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer

from heldout.errors import Problems
from heldout.models.architectures import ARCHITECTURES

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
PICKLE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def check_checkpoint(
    called: str,
    folder: Path,
    tokenizer_folder: Path,
    *,
    allow_remote_code: bool,
    families: Collection[str] = ARCHITECTURES,
) -> Any:
    """The tokenizer of `tokenizer_folder`, of a model of one of `families`. Raises InputError with every problem of
    config, weights and tokenizer."""
    problems = Problems(called)
    config = read_config(folder, problems)
    if config is not None:
        check_family(config, problems, families, allow_remote_code=allow_remote_code)
    usable = config if config is not None and not problems.found and accepted(folder, problems) else None
    check_weights(folder, problems)
    tokenizer = read_tokenizer(tokenizer_folder, problems, usable, allow_remote_code=allow_remote_code)
    problems.raise_if_any()
    return tokenizer


def read_config(folder: Path, problems: Problems) -> dict[str, Any] | None:
    path = folder / "config.json"
    if not path.is_file():
        problems.add(
            f"no config.json in {folder}",
            "a Hugging Face checkpoint: config.json, *.safetensors and a tokenizer",
            "give the folder that save_pretrained wrote",
        )
        return None
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        problems.add(f"a config.json that is not JSON: {error}", "a JSON object", "restore config.json")
        return None
    if not isinstance(config, dict):
        problems.add("a config.json that is not an object", "a JSON object", "restore config.json")
        return None
    return config


def check_family(
    config: dict[str, Any], problems: Problems, families: Collection[str], *, allow_remote_code: bool
) -> None:
    """Remote code that is not allowed, a family without a map, and parts of a config that no map covers."""
    model_type = config.get("model_type")
    if model_type not in families:
        if "auto_map" in config and not allow_remote_code:
            problems.add(
                f"a model that needs code from its checkpoint: {', '.join(map(str, config['auto_map'].values()))}",
                "a model that transformers itself implements",
                "read that code, then pass allow_remote_code=True; its family must still be one of those listed",
            )
        problems.add(
            f"the family {model_type!r} (architecture {', '.join(config.get('architectures') or ['not named'])})",
            f"one of {', '.join(families)}",
            "add a map of the family to heldout/models/architectures, about ten lines",
        )
    for name, reason in (
        ("add_cross_attention", "cross-attention"),
        ("use_bidirectional_attention", "attention to later tokens"),
        ("is_encoder_decoder", "an encoder beside the decoder"),
        ("quantization_config", "quantised weights"),
    ):
        if config.get(name):
            problems.add(
                f"{reason} ({name} is set)",
                "a causal decoder with floating-point weights",
                "convert the checkpoint, or audit the model it was made from",
            )


def accepted(folder: Path, problems: Problems) -> bool:
    """Whether transformers takes the config; a problem where it does not."""
    try:
        AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # validators of configs raise errors of many kinds
        problems.add(
            f"a config.json that transformers refuses: {str(error).strip()}",
            "a config of that family",
            "restore config.json as save_pretrained wrote it",
        )
        return False
    return True


def check_weights(folder: Path, problems: Problems) -> None:
    """Pickled or missing weights, and tensors that hold NaN or infinity."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickles = sorted(path.name for pattern in PICKLE_PATTERNS for path in folder.glob(pattern))
        if pickles:
            problems.add(
                f"pickled weights only: {', '.join(pickles)}",
                "*.safetensors, which cannot run code when read",
                "convert them where you trust their source: AutoModelForCausalLM.from_pretrained(folder)"
                ".save_pretrained(folder, safe_serialization=True)",
            )
        else:
            problems.add(
                f"no weights in {folder}", "at least one *.safetensors file", "save the model by save_pretrained"
            )
    for file in files:
        try:
            with safe_open(file, framework="pt") as tensors:
                bad = [name for name in tensors.keys() if not all_finite(tensors.get_tensor(name))]  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            problems.add(f"{file.name}, which cannot be read: {error}", "a whole safetensors file", "copy it again")
            continue
        if bad:
            problems.add(
                f"NaN or infinite values in {file.name}: {', '.join(bad)}",
                "finite weights",
                "go back to an earlier checkpoint: this one cannot answer anything",
            )


def all_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    low, high = (tensor.float() if tensor.element_size() < 2 else tensor).aminmax()
    return bool(torch.isfinite(low) & torch.isfinite(high))


def read_tokenizer(folder: Path, problems: Problems, config: dict[str, Any] | None, *, allow_remote_code: bool) -> Any:
    """The tokenizer; a problem where there is none, or where its vocabulary is larger than the model's embedding.

    Tokens added on top of a vocabulary (Gemma 3 has one that only its image model embeds) may lie outside it: a prompt
    that uses one is refused when it is tokenised."""
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        problems.add(
            f"no tokenizer in {folder}",
            f"one of {', '.join(TOKENIZER_FILES)}",
            "save the tokenizer beside the weights: tokenizer.save_pretrained(folder)",
        )
        return None
    if config is None:
        return None
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=allow_remote_code, local_files_only=True
        )
    except Exception as error:  # every tokenizer backend has errors of its own
        problems.add(
            f"a tokenizer that cannot be read: {error}", "tokenizer files as saved", "save the tokenizer again"
        )
        return None
    rows = config.get("vocab_size")
    added = tokenizer.get_added_vocab()
    largest = max((i for token, i in tokenizer.get_vocab().items() if token not in added), default=-1)
    if isinstance(rows, int) and largest >= rows:
        problems.add(
            f"a tokenizer with ids up to {largest} for an embedding of {rows} rows",
            "the tokenizer that the model was trained with",
            "put the model's own tokenizer into the folder",
        )
    return tokenizer
