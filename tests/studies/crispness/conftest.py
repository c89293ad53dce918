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

from heldout.models import Model, Site, Tokens, load
from heldout.models.architectures.plain import PLAIN
from heldout.models.dimensions import Dimensions as Sizes
from heldout.models.plain_transformer import PlainConfig, PlainTransformer
from heldout.studies.crispness.reading import LatentTexts
from heldout.studies.crispness.texts import LabelledText, Part, TextSet

WIDTH = 24
SITE = Site("resid_pre", 0)
THINGS = [f"thing{number}" for number in range(24)]
VOCABULARY = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "red", "blue", "was", "near", "far", *THINGS]


@pytest.fixture
def planted() -> Callable[..., LatentTexts]:
    """Texts of one latent, `strength` along each of `copies` directions that each have noise of their own, in 48 groups, of
    which twelve are tested."""

    def make(strength: float = 6.0, copies: int = 1, n: int = 400, seed: int = 0, words: int = 10) -> LatentTexts:
        generator = np.random.default_rng(seed)
        signs = generator.choice([-1.0, 1.0], n)
        streams = generator.normal(size=(n, WIDTH))
        streams[:, :copies] += strength / 2 * signs[:, None]
        parts: list[Part] = ["fit", "test", "fit", "select"]
        texts = [
            LabelledText(
                f"text {i}",
                "sign",
                "up" if sign > 0 else "down",
                parts[i % 4],
                f"group {i % 48}",
                word=f"word {generator.integers(words)}",
            )
            for i, sign in enumerate(signs)
        ]
        return LatentTexts(tuple(texts), Tokens.from_ids(generator.integers(0, 9, (n, 3)).tolist()), {SITE: streams})

    return make


@pytest.fixture
def wired() -> Callable[..., Model]:
    """A causal model in whose stream dimension 0 is the colour: nothing but, if `used`, the unembedding reads it."""

    def make(*, used: bool) -> Model:
        torch.manual_seed(1)
        module: Any = PlainTransformer(PlainConfig(Sizes(2, 2, 2, 12, 6, 24, 30, 16), activation="relu"))
        for parameter in module.parameters():
            parameter.data = torch.randn_like(parameter) / 4
        module.embed.weight.data[:, 0] = 0.0
        module.embed.weight.data[1, 0], module.embed.weight.data[2, 0] = 2.0, -2.0
        for name, parameter in module.named_parameters():
            if name.endswith(("query.weight", "key.weight", "mlp.input.weight")):
                parameter.data[:, 0] = 0.0
            if name.endswith(("attention.value.weight",)):
                parameter.data[:, 0] = 0.0
            if name.endswith(("attention.output.weight", "mlp.output.weight")):
                parameter.data[0] = 0.0
        module.unembed.weight.data[:, 0] = 3.0 * torch.randn(30) if used else 0.0
        return Model(module.eval().requires_grad_(False), architecture=PLAIN)

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
