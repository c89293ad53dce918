"""Opens published research weights: state dicts of small transformers, saved by torch rather than by transformers.

Two dialects of parameter names are known. TransformerLens stores W_Q as head × d_model × d_head and W_O as
head × d_head × d_model; the code of arXiv 2301.05217, which ARENA's early course also uses, stores every matrix as
output × input (W_Q: head × d_head × d_model; W_O: d_model × (head · d_head)) and calls attention-only layers
attn_blocks.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from heldout.errors import InputError, Problem, Problems
from heldout.models.architectures.plain import PLAIN, PLAIN_ATTENTION_ONLY
from heldout.models.checkpoint_checks import all_finite
from heldout.models.digests import file_digest
from heldout.models.dimensions import Dimensions
from heldout.models.model import Model
from heldout.models.plain_transformer import Activation, PlainConfig, PlainTransformer

Rule = tuple[str, str, Callable[[Tensor], Tensor]]
"""A pattern of a stored name, the name here, and how the stored tensor becomes the one here."""


def same(tensor: Tensor) -> Tensor:
    return tensor


def transposed(matrix: Tensor) -> Tensor:
    return matrix.T


LAYER = r"(?:attn_)?blocks\.(\d+)\."
SHARED: tuple[Rule, ...] = (
    (r"pos_embed\.W_pos", "embed_position.weight", same),
    (r"unembed\.W_U", "unembed.weight", transposed),
    (r"unembed\.b_U", "unembed.bias", same),
    (r"ln_final\.w", "final_norm.weight", same),
    (r"ln_final\.b", "final_norm.bias", same),
    (LAYER + r"ln1\.w", r"layers.\1.attention_norm.weight", same),
    (LAYER + r"ln1\.b", r"layers.\1.attention_norm.bias", same),
    (LAYER + r"ln2\.w", r"layers.\1.mlp_norm.weight", same),
    (LAYER + r"ln2\.b", r"layers.\1.mlp_norm.bias", same),
    (LAYER + r"attn\.b_Q", r"layers.\1.attention.query.bias", torch.flatten),
    (LAYER + r"attn\.b_K", r"layers.\1.attention.key.bias", torch.flatten),
    (LAYER + r"attn\.b_V", r"layers.\1.attention.value.bias", torch.flatten),
    (LAYER + r"attn\.b_O", r"layers.\1.attention.output.bias", same),
    (LAYER + r"mlp\.b_in", r"layers.\1.mlp.input.bias", same),
    (LAYER + r"mlp\.b_out", r"layers.\1.mlp.output.bias", same),
)


def heads_by_input(weight_hmd: Tensor) -> Tensor:
    return weight_hmd.transpose(1, 2).flatten(0, 1)


def heads_by_output(weight_hdm: Tensor) -> Tensor:
    return weight_hdm.flatten(0, 1)


TRANSFORMER_LENS: tuple[Rule, ...] = (
    *SHARED,
    (r"embed\.W_E", "embed.weight", same),
    (LAYER + r"attn\.W_Q", r"layers.\1.attention.query.weight", heads_by_input),
    (LAYER + r"attn\.W_K", r"layers.\1.attention.key.weight", heads_by_input),
    (LAYER + r"attn\.W_V", r"layers.\1.attention.value.weight", heads_by_input),
    (LAYER + r"attn\.W_O", r"layers.\1.attention.output.weight", lambda w_hdm: w_hdm.flatten(0, 1).T),
    (LAYER + r"mlp\.W_in", r"layers.\1.mlp.input.weight", transposed),
    (LAYER + r"mlp\.W_out", r"layers.\1.mlp.output.weight", transposed),
)
OUTPUT_BY_INPUT: tuple[Rule, ...] = (
    *SHARED,
    (r"embed\.W_E", "embed.weight", transposed),
    (LAYER + r"attn\.W_Q", r"layers.\1.attention.query.weight", heads_by_output),
    (LAYER + r"attn\.W_K", r"layers.\1.attention.key.weight", heads_by_output),
    (LAYER + r"attn\.W_V", r"layers.\1.attention.value.weight", heads_by_output),
    (LAYER + r"attn\.W_O", r"layers.\1.attention.output.weight", same),
    (LAYER + r"mlp\.W_in", r"layers.\1.mlp.input.weight", same),
    (LAYER + r"mlp\.W_out", r"layers.\1.mlp.output.weight", same),
)
BUFFERS = re.compile(r".*\.(mask|IGNORE)|hook_\w+|.*\.hook_\w+")
STATE_KEYS = ("model", "model_state_dict", "state_dict")


def load_research_weights(
    path: str | os.PathLike[str], *, activation: Activation = "relu", normalised: bool = False
) -> Model:
    """The model of a state dict saved by torch, without a tokenizer: build its prompts with `Tokens.from_ids`.

    Shapes, MLPs, biases and LayerNorm are inferred from the parameters. A state dict does not say which `activation`
    the MLPs have, nor whether streams are normalised without weights (TransformerLens folds them away): `normalised`
    says so. The file is read with `weights_only=True`, so it cannot run code. Raises InputError naming every parameter
    that is unknown, missing or not finite."""
    file, called = Path(path), f"load_research_weights({str(path)!r})"
    stored = read_state(called, file)
    weights = {name: tensor for name, tensor in stored.items() if not BUFFERS.fullmatch(name)}
    output = next((tensor for name, tensor in weights.items() if name.endswith("blocks.0.attn.W_O")), None)
    problems = Problems(called)
    if output is None:
        problems.add(
            f"no blocks.0.attn.W_O among {', '.join(list(stored)[:8])}, …",
            "the parameter names of TransformerLens",
            "rename the parameters, or save the model as a Hugging Face checkpoint",
        )
        raise InputError(called, *problems.found)
    rules = TRANSFORMER_LENS if output.ndim == 3 else OUTPUT_BY_INPUT
    state = renamed(weights, rules, problems)
    problems.raise_if_any()
    heads = next(tensor for name, tensor in weights.items() if name.endswith("attn.W_Q")).shape[0]
    config = plain_config(called, state, n_heads=heads, activation=activation)
    if normalised and config.layer_norm == "none":
        config = replace(config, layer_norm="no weights")
    module = PlainTransformer(config)
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name in sorted(expected.items() ^ found.items()):
        problems.add(
            f"{name[0]} of shape {found.get(name[0])}", f"shape {expected.get(name[0])}", "complete the state dict"
        )
    problems.raise_if_any()
    module.load_state_dict(state)
    module.eval().requires_grad_(False)
    architecture = PLAIN_ATTENTION_ONLY if config.dimensions.d_mlp is None else PLAIN
    return Model(module, name=file.stem, architecture=architecture, digest=partial(file_digest, file))


def read_state(called: str, file: Path) -> dict[str, Tensor]:
    """The parameters in a file: its `model` entry (or one of the other usual names), else the file itself."""
    if not file.is_file():
        raise InputError(called, Problem(f"no file at {file}", "a file saved by torch.save", "correct the path"))
    try:
        stored: Any = torch.load(file, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(
            called,
            Problem(
                f"a file that cannot be read as weights: {str(error).splitlines()[0]}",
                "tensors only, saved by torch.save",
                "save the state dict of the model, not the model object",
            ),
        ) from error
    if isinstance(stored, Mapping):
        stored = next((stored[key] for key in STATE_KEYS if key in stored), stored)
    if not isinstance(stored, Mapping) or not all(isinstance(value, Tensor) for value in stored.values()):
        raise InputError(
            called,
            Problem(
                "a file without a state dict",
                f"a mapping from parameter names to tensors, by itself or under one of {', '.join(STATE_KEYS)}",
                "save the state dict of the model",
            ),
        )
    return cast("dict[str, Tensor]", dict(stored))


def renamed(weights: Mapping[str, Tensor], rules: tuple[Rule, ...], problems: Problems) -> dict[str, Tensor]:
    """The parameters under the names and in the shapes of PlainTransformer."""
    state: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        matches = ((re.fullmatch(pattern, name), new, change) for pattern, new, change in rules)
        match, new, change = next((found for found in matches if found[0]), (None, "", same))
        if match is None:
            problems.add(f"the parameter {name}", "a parameter of a plain transformer", "remove or rename it")
            continue
        if not all_finite(tensor):
            problems.add(f"NaN or infinite values in {name}", "finite weights", "go back to an earlier checkpoint")
        state[match.expand(new)] = change(tensor).contiguous()
    return state


def plain_config(called: str, state: Mapping[str, Tensor], *, n_heads: int, activation: Activation) -> PlainConfig:
    """What the shapes of the parameters say about the model."""
    vocabulary_size, d_model = state["embed.weight"].shape
    outputs = state["unembed.weight"].shape[0]
    if outputs != vocabulary_size:
        raise InputError(
            called,
            Problem(
                f"an embedding of {vocabulary_size} tokens and an unembedding of {outputs}",
                "the same vocabulary at both ends",
                "pad the unembedding with zero columns",
            ),
        )
    first_mlp = state.get("layers.0.mlp.input.weight")
    dimensions = Dimensions(
        n_layers=1 + max(int(name.split(".")[1]) for name in state if name.startswith("layers.")),
        n_heads=n_heads,
        n_key_value_heads=n_heads,
        d_model=d_model,
        d_head=state["layers.0.attention.query.weight"].shape[0] // n_heads,
        d_mlp=None if first_mlp is None else first_mlp.shape[0],
        vocabulary_size=vocabulary_size,
        context_length=state["embed_position.weight"].shape[0],
    )
    return PlainConfig(
        dimensions=dimensions,
        activation=activation,
        layer_norm="weights" if "final_norm.weight" in state else "none",
        attention_bias="layers.0.attention.query.bias" in state,
        mlp_bias="layers.0.mlp.input.bias" in state,
        unembedding_bias="unembed.bias" in state,
    )
