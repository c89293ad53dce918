"""Opens reward models: sequence classifiers with one output, whose score is read at the last token of a text, or, by
encoders, at its first.

The transformer inside one that is no encoder is that of the family's causal model, under the same names; only the matrix
behind it differs. So a reward model is a `Model` with a vocabulary of one: `logits` gives the score at any position,
`unembed` the score of any stream, and sites, traces, edits and decompositions are what they are everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.modeling_outputs import CausalLMOutputWithPast

from heldout.errors import InputError, Problem, Problems
from heldout.models.architectures import ARCHITECTURES
from heldout.models.batching import batch_size, batches_by_length
from heldout.models.checkpoint_checks import check_checkpoint
from heldout.models.digests import folder_digest
from heldout.models.encoders import is_encoder
from heldout.models.loading import checkpoint_folder, load, opened
from heldout.models.metrics import TokenLogits
from heldout.models.model import Model
from heldout.models.tokens import Tokens
from heldout.shapes import Float, Int

SCORE = "score"
"""What transformers calls the matrix from the stream to the outputs."""
SCORERS = {
    name: replace(
        architecture,
        unembedding=SCORE,
        unsupported=(*architecture.unsupported, ("logits", "it gives one score a text, which Model.logits reads")),
    )
    for name, architecture in ARCHITECTURES.items()
}


class Scorer(nn.Module):
    """A sequence classifier that is called as a causal model is, and gives a score at every position it is asked for.

    It shares the classifier's parts under their own names. transformers pools by itself at the last token that is not
    the pad token; here prompts are left padded, so that is position -1."""

    keeps_keys_and_values = False

    def __init__(self, config: Any, classifier: Any = None) -> None:
        super().__init__()
        if classifier is None:
            classifier = AutoModelForSequenceClassification.from_config(config)
        self.config = classifier.config
        self.transformer_name: str = classifier.base_model_prefix
        self.add_module(self.transformer_name, classifier.base_model)
        self.add_module(SCORE, classifier.get_submodule(SCORE))
        if getattr(self.config, "final_logit_softcapping", None) is not None:
            self.config.final_logit_softcapping = None  # scores are not capped

    def forward(
        self,
        input_ids: Int[Tensor, "batch position"],
        attention_mask: Int[Tensor, "batch position"] | None = None,
        position_ids: Int[Tensor, "batch position"] | None = None,
        logits_to_keep: int = 0,
        past_key_values: None = None,
        use_cache: bool = False,
    ) -> CausalLMOutputWithPast:
        """The scores, batch × position × 1, of the last `logits_to_keep` positions (0: all)."""
        transformer: Any = self.get_submodule(self.transformer_name)
        output = transformer(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=False
        )
        scores: Tensor = self.get_submodule(SCORE)(output.last_hidden_state[:, -logits_to_keep:])
        return CausalLMOutputWithPast(logits=scores)  # pyright: ignore[reportArgumentType]


def load_reward_model(
    path_or_id: str | os.PathLike[str],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    allow_remote_code: bool = False,
) -> Model:
    """As `heldout.load`, of a folder or hub id that holds an `AutoModelForSequenceClassification` with one output.

    Raises InputError for what `heldout.load` refuses, for more than one output, and for a tokenizer without the pad
    token by which transformers finds the end of a text."""
    called = f"load_reward_model({str(path_or_id)!r})"
    folder = checkpoint_folder(path_or_id)
    if is_encoder(folder):
        encoder = load(path_or_id, device=device, dtype=dtype, allow_remote_code=allow_remote_code)
        check_scorer(called, encoder.module.config)
        return encoder
    tokenizer = check_checkpoint(called, folder, Path(folder), allow_remote_code=allow_remote_code)
    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=allow_remote_code)
    check_scorer(called, config)
    check_ends(called, config, tokenizer)
    classifier, architecture = opened(
        called,
        folder,
        AutoModelForSequenceClassification,
        dtype=dtype,
        allow_remote_code=allow_remote_code,
        architectures=SCORERS,
    )
    module = Scorer(config, classifier).to(device).eval().requires_grad_(False)
    name = "/".join(folder.resolve().parts[-2:]) if Path(path_or_id).is_dir() else str(path_or_id)
    return Model(module, tokenizer, name=name, architecture=architecture, digest=partial(folder_digest, folder))


def check_scorer(called: str, config: Any) -> None:
    """Raises InputError where a config does not give one score a text."""
    problems = Problems(called)
    named = getattr(config, "architectures", None) or []
    if not any(name.endswith("ForSequenceClassification") for name in named):
        problems.add(
            f"a model of the class {', '.join(named) or 'not named'}",
            "a sequence classifier: AutoModelForSequenceClassification",
            "open a language model by heldout.load, or save the reward model with its score layer",
        )
    elif config.num_labels != 1:
        problems.add(
            f"{config.num_labels} outputs",
            "one output, the score",
            "name a model that was trained with num_labels=1, or cut its score layer down to the output that is meant",
        )
    problems.raise_if_any()


def check_ends(called: str, config: Any, tokenizer: Any) -> None:
    """Raises InputError where texts have no end that transformers finds."""
    problems = Problems(called)
    if tokenizer.pad_token_id is None:
        problems.add(
            "a tokenizer without a pad token",
            "a pad token, by which transformers finds where each text of a batch ends",
            "set tokenizer.pad_token to a token that no text ends with, and save the tokenizer",
        )
    elif config.pad_token_id not in (None, tokenizer.pad_token_id):
        problems.add(
            f"pad token {config.pad_token_id} in config.json and {tokenizer.pad_token_id} in the tokenizer",
            "the same in both: scores are read before the first of them",
            "set config.pad_token_id to tokenizer.pad_token_id",
        )
    problems.raise_if_any()


def score_metric() -> TokenLogits:
    """The score as a metric, for sweeps, decompositions and attributions."""
    return TokenLogits(torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1))


def scored(model: Model, texts: Sequence[str], *, size: int | None = None) -> Float[Tensor, " text"]:
    """The score of each text, `size` texts a pass (as many as fit, by default), under the edits that are on.

    Raises InputError for texts that `Model.tokenize` refuses, texts that end with the pad token, and scores that are
    not finite."""
    tokens = text_tokens(model, texts)
    values = torch.empty(len(texts), dtype=torch.float32)
    for rows, part in batches_by_length(tokens, size or batch_size(model, tokens.length)):
        values[rows] = model.logits(part)[:, -1, 0].float().cpu()
    refuse_values_that_are_not_finite(f"scored({model.name!r}, {len(texts)} texts)", values)
    return values


def text_tokens(model: Model, texts: Sequence[str]) -> Tokens:
    """The texts as the model is to score them. Raises InputError for texts that end with the pad token: transformers
    would read their score before it, unless it is read at the first token."""
    tokens = model.tokenize(texts)
    if model.architecture.reads_first_token:
        return tokens
    padded = (tokens.ids[:, -1] == model.tokenizer.pad_token_id).nonzero().flatten().tolist()
    if padded:
        raise InputError(
            f"text_tokens({model.name!r}, {len(texts)} texts)",
            Problem(
                f"texts {padded[:8]} end with the pad token {model.tokenizer.pad_token!r}",
                "texts whose last token is a word, at which the score is read",
                "leave the pad token out, or give the tokenizer one of its own",
            ),
        )
    return tokens


def refuse_values_that_are_not_finite(called: str, values: Float[Tensor, " text"]) -> None:
    wrong = (~torch.isfinite(values)).nonzero().flatten().tolist()
    if wrong:
        raise InputError(
            called,
            Problem(
                f"scores that are NaN or infinite, of {len(wrong)} of {len(values)} texts, the first of them {wrong[0]}",
                "a finite score for every text",
                "score these texts in float32, or leave them out; a model that gives NaN for all cannot be studied",
            ),
        )
