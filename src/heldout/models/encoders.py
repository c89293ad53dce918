"""Opens encoders: models in which every position sees every other, with a masked-language head, a classifier, or none.

An encoder is called as a causal model is. Where that gives logits, an encoder with a masked-language head gives the
logits of every position, a classifier one row of labels a text, and an encoder without a head its last stream.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self, final

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification
from transformers.modeling_outputs import CausalLMOutputWithPast

from heldout.errors import Problems
from heldout.models.architectures import ENCODERS, Architecture
from heldout.models.model import Model
from heldout.shapes import Float, Int

AUTOMATIC: dict[str, Any] = {
    "BertModel": AutoModel,
    "BertForMaskedLM": AutoModelForMaskedLM,
    "BertForPreTraining": AutoModelForMaskedLM,
    "BertForSequenceClassification": AutoModelForSequenceClassification,
}
"""transformers' automatic class for each class that a config names."""


@final
class Encoder(nn.Module):
    """A BERT of transformers under the names `bert`, `cls` and `classifier`, called with left-padded prompts.

    transformers reads a classifier's first token at index 0, where left-padded prompts have padding; here it is the
    first token that is none."""

    keeps_keys_and_values = False

    def __init__(self, config: Any, inner: Any = None) -> None:
        super().__init__()
        if inner is None:
            inner = AUTOMATIC[encoder_class(config)].from_config(config)
        self.config = inner.config
        self.config.architectures = [type(inner).__name__]
        self.bert: Any = inner.base_model
        self.architecture = ENCODERS[type(inner).__name__]
        if self.architecture.reads_first_token:
            self.pooled = nn.Sequential(self.bert.pooler.dense, self.bert.pooler.activation)
            self.classifier = inner.classifier
        elif self.architecture.unembedding.startswith("cls."):
            self.cls = inner.cls
        else:
            self.last_stream = nn.Identity()

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str], **settings: Any) -> tuple[Self, dict[str, Any]]:
        """The encoder of a folder, and transformers' report on its weights."""
        named = encoder_class(json.loads((Path(folder) / "config.json").read_text(encoding="utf-8")))
        inner, report = AUTOMATIC[named].from_pretrained(folder, **settings)
        if named == "BertModel":  # a sentence encoder is often saved without the pooler, which nothing reads here
            report["missing_keys"] = {name for name in report["missing_keys"] if not name.startswith("pooler.")}
        return cls(inner.config, inner), report

    def forward(
        self,
        input_ids: Int[Tensor, "batch position"],
        attention_mask: Int[Tensor, "batch position"] | None = None,
        position_ids: Int[Tensor, "batch position"] | None = None,
        logits_to_keep: int = 0,
        past_key_values: None = None,
        use_cache: bool = False,
        **settings: Any,
    ) -> CausalLMOutputWithPast:
        """Of the last `logits_to_keep` positions (0: all) the logits or the stream; of a classifier one row a text."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        found = self.bert(input_ids=input_ids, attention_mask=mask, position_ids=position_ids, **settings)
        stream_bpd: Tensor = found.last_hidden_state
        kept = (
            first_tokens(stream_bpd, mask) if self.architecture.reads_first_token else stream_bpd[:, -logits_to_keep:]
        )
        logits = self.get_submodule(self.architecture.unembedding)(
            self.get_submodule(self.architecture.final_norm)(kept)
        )
        return CausalLMOutputWithPast(logits=logits, hidden_states=found.hidden_states, attentions=found.attentions)  # pyright: ignore[reportArgumentType]


def first_tokens(
    stream: Float[Tensor, "*copies batch position d_model"], mask: Int[Tensor, "batch position"]
) -> Float[Tensor, "*copies batch 1 d_model"]:
    """The stream at the first token of each text."""
    rows = torch.arange(len(mask), device=mask.device)
    return stream[..., rows, mask.argmax(dim=1), :].unsqueeze(-2)


def encoder_class(config: Any) -> str:
    """The class that a config (or the object of a config.json) names; that of an encoder without a head where it names
    none."""
    named = config.get("architectures") if isinstance(config, dict) else config.architectures
    return (named or ["BertModel"])[0]


def encoder_model(encoder: nn.Module, tokenizer: Any = None, *, name: str = "") -> Model:
    """A `Model` of one of transformers' BERT modules (`BertModel`, `BertForMaskedLM`, `BertForSequenceClassification`).

    Raises InputError for other modules."""
    config: Any = encoder.config
    problems = Problems(f"encoder_model({type(encoder).__name__})")
    check_encoder({**config.to_dict(), "architectures": [type(encoder).__name__]}, problems)
    problems.raise_if_any()
    module = Encoder(config, encoder).eval().requires_grad_(False)
    return Model(module, tokenizer, name=name, architecture=module.architecture)


def is_encoder(folder: Path) -> bool:
    """The folder's config names the model type of an encoder."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") in {each.model_type for each in ENCODERS.values()}


def architectures_in(called: str, folder: Path) -> dict[str, Architecture]:
    """The map of a folder's encoder by its model type. Raises InputError for a head or a setting without a map."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    problems = Problems(called)
    check_encoder(config, problems)
    problems.raise_if_any()
    architecture = ENCODERS[encoder_class(config)]
    return {architecture.model_type: architecture}


def check_encoder(config: dict[str, Any], problems: Problems) -> None:
    """A head that no map has, and settings under which an encoder is none or its sites lie elsewhere."""
    named = encoder_class(config)
    if named not in ENCODERS:
        next_step = "save the encoder inside it by itself: model.base_model.save_pretrained(folder)"
        problems.add(f"an encoder of the class {named}", f"one of {', '.join(ENCODERS)}", next_step)
    for setting, usual, meaning in (
        ("is_decoder", False, "a BERT that decodes"),
        ("chunk_size_feed_forward", 0, "MLPs that see a few positions at a time"),
        ("position_embedding_type", "absolute", "relative positions"),
    ):
        if config.get(setting, usual) != usual:
            found = f"{meaning} ({setting} is {config[setting]!r})"
            problems.add(found, f"{setting} = {usual!r}", "convert the checkpoint, or open another one")
