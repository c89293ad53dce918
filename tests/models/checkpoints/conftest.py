"""Tiny GPT-2s that differ by a seed, and folders of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from heldout.models import Model


@pytest.fixture
def seeded(build_model: Callable[..., Model], word_tokenizer: Callable[..., Any]) -> Callable[..., Model]:
    """Makes a model of a seed, with a tokenizer: equal seeds, equal weights."""

    def seeded(seed: int, **changes: Any) -> Model:
        model = build_model("gpt2", n_layer=1, **changes)
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.module.parameters():
            parameter.data.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
        return Model(model.module, word_tokenizer([f"w{i}" for i in range(46)]), name=f"seed {seed}")

    return seeded


@pytest.fixture
def write_folder(tmp_path: Path, seeded: Callable[..., Model]) -> Callable[..., Path]:
    """Writes a folder of checkpoints from their seeds, with a tokenizer in the folder, or in each of them."""

    def write_folder(seeds: Mapping[str, int], *, tokenizer: str = "folder") -> Path:
        folder = tmp_path / "run"
        for name, seed in seeds.items():
            model: Any = seeded(seed)
            model.module.save_pretrained(folder / name)
            if tokenizer == "each":
                model.tokenizer.save_pretrained(folder / name)
        if tokenizer == "folder":
            seeded(0).tokenizer.save_pretrained(folder)
        return folder

    return write_folder
