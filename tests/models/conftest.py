"""One table of tiny models, every family of the registry, feeds the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from heldout.models import Model, Tokens
from heldout.models.architectures.plain import PLAIN, PLAIN_ATTENTION_ONLY
from heldout.models.dimensions import Dimensions
from heldout.models.plain_transformer import PlainConfig, PlainTransformer

VOCABULARY = 50

LLAMA_LIKE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GEMMA: dict[str, Any] = {**LLAMA_LIKE, "head_dim": 12, "query_pre_attn_scalar": 12, "sliding_window": 4}
NEOX = {name: value for name, value in LLAMA_LIKE.items() if name != "num_key_value_heads"}

CASES: dict[str, dict[str, Any]] = {
    "gpt2": {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64, "n_inner": 48},
    "gpt_neox": NEOX,
    "gpt_neox sequential": {**NEOX, "use_parallel_residual": False},
    "llama": {**LLAMA_LIKE, "attention_bias": True, "tie_word_embeddings": True},
    "mistral": {**LLAMA_LIKE, "sliding_window": 4},
    "qwen2": LLAMA_LIKE,
    "qwen3": {**LLAMA_LIKE, "head_dim": 12},
    "gemma2": {**GEMMA, "final_logit_softcapping": 3.0, "attn_logit_softcapping": 5.0},
    "gemma3_text": {**GEMMA, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    "phi3": LLAMA_LIKE,
    "olmo2": LLAMA_LIKE,
    "mixtral": {**LLAMA_LIKE, "num_local_experts": 3, "num_experts_per_tok": 2},
    "qwen3_moe": {**LLAMA_LIKE, "num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 24},
}

PLAIN_CASES: dict[str, dict[str, Any]] = {
    "plain": {"d_mlp": 48, "layer_norm": "weights", "attention_bias": True, "mlp_bias": True, "unembedding_bias": True},
    "plain bare": {"d_mlp": 48, "activation": "gelu"},
    "plain attention only": {"d_mlp": None},
}


def randomise(module: nn.Module, seed: int) -> None:
    """Weights for which no part of a model is idle: norms differ from the identity, biases from zero."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name or ".ln_" in name:
            parameter.data.add_(0.3 * noise)
        elif parameter.ndim == 1:
            parameter.data.copy_(0.3 * noise)
        else:
            parameter.data.copy_(noise / parameter.shape[-1] ** 0.5)


def build(case: str, **changes: Any) -> Model:
    if case in PLAIN_CASES:
        return build_plain(case, **PLAIN_CASES[case])
    config = AutoConfig.for_model(case.split()[0], **{**CASES[case], **changes})
    module = AutoModelForCausalLM.from_config(config)
    randomise(module, seed=sum(map(ord, case)))
    return Model(module.eval().requires_grad_(False), name=case)


def build_plain(case: str, *, d_mlp: int | None, **settings: Any) -> Model:
    sizes = {"n_layers": 3, "n_heads": 4, "n_key_value_heads": 4, "d_model": 32, "d_head": 8}
    dimensions = Dimensions(**sizes, d_mlp=d_mlp, vocabulary_size=VOCABULARY, context_length=64)
    module = PlainTransformer(PlainConfig(dimensions, **settings))
    randomise(module, seed=7)
    architecture = PLAIN_ATTENTION_ONLY if d_mlp is None else PLAIN
    return Model(module.eval().requires_grad_(False), name=case, architecture=architecture)


@pytest.fixture
def build_model() -> Callable[..., Model]:
    """Makes a tiny model: `build_model(case, **changes to its config)`."""
    return build


@pytest.fixture
def cases() -> list[str]:
    """The names of the tiny models of transformers' families."""
    return list(CASES)


@pytest.fixture(scope="session", params=list(CASES))
def transformers_model(request: pytest.FixtureRequest) -> Model:
    """A tiny model of every family that transformers implements."""
    return build(request.param)


@pytest.fixture(scope="session", params=[*CASES, *PLAIN_CASES])
def model(request: pytest.FixtureRequest) -> Model:
    """A tiny model of every family, with random weights."""
    return build(request.param)


@pytest.fixture(scope="session")
def one_model() -> Model:
    """A Qwen3, for what does not depend on the family."""
    return build("qwen3")


@pytest.fixture(scope="session")
def tokens() -> Tokens:
    """Four prompts of nine tokens, without padding."""
    return Tokens.from_ids(torch.randint(3, VOCABULARY, (4, 9), generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="session")
def padded() -> Tokens:
    """Five prompts of lengths 9, 4, 6, 1 and 8."""
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(3, VOCABULARY, (n,), generator=generator).tolist() for n in (9, 4, 6, 1, 8)]
    return Tokens.from_ids(rows)


@pytest.fixture
def hook_count() -> Callable[[nn.Module], int]:
    """Counts every hook on a module and its parts."""
    return lambda module: sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules())


@pytest.fixture
def word_tokenizer() -> Callable[..., PreTrainedTokenizerFast]:
    """Makes a tokenizer of words split at blanks; the words <pad> <bos> <eos> <unk> are ids 0 to 3."""

    def make(words: list[str]) -> PreTrainedTokenizerFast:
        vocabulary = {word: i for i, word in enumerate(["<pad>", "<bos>", "<eos>", "<unk>", *words])}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
        )

    return make


@pytest.fixture
def checkpoint(tmp_path: Path, word_tokenizer: Callable[..., PreTrainedTokenizerFast]) -> Path:
    """A whole checkpoint folder of a tiny Qwen3 with a tokenizer of `VOCABULARY` words."""
    folder = tmp_path / "checkpoint"
    module: Any = build("qwen3").module
    module.save_pretrained(folder)
    word_tokenizer([f"w{i}" for i in range(VOCABULARY - 4)]).save_pretrained(folder)
    return folder
