"""Streams with planted structure, and tiny models of both kinds that can be saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from heldout.models import Site, Tokens, load
from heldout.studies.crispness.reading import LatentTexts
from heldout.studies.crispness.texts import LabelledText, TextSet

WIDTH = 24
SITE = Site("resid_pre", 0)
THINGS = [f"thing{number}" for number in range(24)]
VOCABULARY = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "red", "blue", "was", "near", "far", *THINGS]


@pytest.fixture
def planted() -> Callable[..., LatentTexts]:
    """Texts of one latent, `strength` along each of `copies` directions that each have noise of their own."""

    def make(strength: float = 6.0, copies: int = 1, n: int = 400, seed: int = 0, words: int = 10) -> LatentTexts:
        generator = np.random.default_rng(seed)
        signs = generator.choice([-1.0, 1.0], n)
        streams = generator.normal(size=(n, WIDTH))
        streams[:, :copies] += strength / 2 * signs[:, None]
        parts = ["fit", "test", "fit", "select"]
        texts = [
            LabelledText(f"text {i}", "sign", "up" if sign > 0 else "down", parts[i % 4], f"group {i % 16}",
                         word=f"word {generator.integers(words)}")  # type: ignore[arg-type]
            for i, sign in enumerate(signs)
        ]  # fmt: skip
        return LatentTexts(tuple(texts), Tokens.from_ids(generator.integers(0, 9, (n, 3)).tolist()), {SITE: streams})

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved BERT of two layers with random weights, whose words are those of `sentences`."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=32,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(tmp_path / "bert")
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    wrapped.save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


@pytest.fixture
def encoder(folder: Path) -> Any:
    return load(folder)


@pytest.fixture
def sentences() -> TextSet:
    """Colour is a word; luck is a coin that nothing in the text tells. Pairs differ in colour alone."""
    generator = np.random.default_rng(1)
    texts: list[LabelledText] = []
    for number, first in enumerate(THINGS):
        part = ("fit", "test", "fit", "select")[number % 4]
        for second in generator.permutation(THINGS)[:6]:
            place = generator.choice(["near", "far"])
            for colour in ("red", "blue"):
                text = f"{first} was {colour} {place} {second}"
                pair = f"{first} {place} {second}"
                texts.append(LabelledText(text, "colour", colour, part, first, pair, str(second)))  # type: ignore[arg-type]
                luck = str(generator.choice(["good", "bad"]))
                texts.append(LabelledText(text, "luck", luck, part, first, None, str(second)))  # type: ignore[arg-type]
    return TextSet("colours", tuple(texts))
