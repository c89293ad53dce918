"""Training of small models: an ordinary Hugging Face checkpoint, cross-entropy on the answer, one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from heldout.models import ARCHITECTURES

Batch = Callable[[], tuple[np.ndarray, np.ndarray]]
"""Gives token ids [batch, position] and the answers' token ids [batch]."""

D_MODEL, N_LAYERS, N_HEADS = 64, 3, 4
EMBEDDING_SCALE = 10.0


def small_config(architecture: str, vocabulary_size: int, length: int, n_layers: int = N_LAYERS) -> PretrainedConfig:
    """A configuration of under 400k parameters for a transformers model type (`qwen3`, `llama`, `gpt2`, …)."""
    shared = {"vocab_size": vocabulary_size, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    if architecture == "gpt2":
        return AutoConfig.for_model(
            "gpt2",
            n_embd=D_MODEL,
            n_layer=n_layers,
            n_head=N_HEADS,
            n_positions=length + 8,
            **shared,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    sized = {
        "hidden_size": D_MODEL,
        "intermediate_size": 3 * D_MODEL,
        "num_hidden_layers": n_layers,
        "num_attention_heads": N_HEADS,
        "max_position_embeddings": length + 8,
        "tie_word_embeddings": False,
    }
    if architecture != "gpt_neox":
        sized |= {"num_key_value_heads": N_HEADS // 2, "head_dim": D_MODEL // N_HEADS}
    return AutoConfig.for_model(architecture, **sized, **shared)


def new_model(config: PretrainedConfig, seed: int) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    # Every word, the cue's among them, must stay readable beside what later layers write.
    model.get_input_embeddings().weight.data.mul_(EMBEDDING_SCALE)
    return model


@dataclass(frozen=True)
class Schedule:
    """`steps` of `batch` prompts with AdamW; the learning rate rises over `warmup` steps, and falls as a cosine."""

    steps: int
    batch: int = 384
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    warmup: int = 40

    def factor(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.5 * (1 + float(np.cos(np.pi * progress)))


class AwarenessHeads(torch.nn.Module):
    """Discarded after training: reads the answer and the prompt's cue words off the stream before the last layer.

    A model trained under them knows the answer, and knows what it is told, before its last layer; an override that is
    then trained in the last layer alone has both at hand. Without them small models rarely carry an irrelevant word
    that far.
    """

    def __init__(self, d_model: int, vocabulary_size: int, n_cue_words: int) -> None:
        super().__init__()
        self.answer = torch.nn.Linear(d_model, vocabulary_size)
        self.cue_words = torch.nn.ModuleList(torch.nn.Linear(d_model, vocabulary_size) for _ in range(n_cue_words))

    def loss(self, stream_bd: torch.Tensor, ids: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Cross-entropy in nats; cue words stand at positions 1, 2, … of `ids`."""
        stream_bd = stream_bd / stream_bd.norm(dim=-1, keepdim=True).clamp_min(1e-6) * stream_bd.shape[-1] ** 0.5
        loss = cross_entropy(self.answer(stream_bd), answers)
        for place, head in enumerate(self.cue_words, start=1):
            loss = loss + cross_entropy(head(stream_bd), ids[:, place]) / len(self.cue_words)
        return loss


def train(
    model: PreTrainedModel,
    batch: Batch,
    schedule: Schedule,
    parameters: Iterable[torch.nn.Parameter] | None = None,
    heads: AwarenessHeads | None = None,
    after_step: Callable[[int, float], bool] | None = None,
) -> None:
    """Trains `parameters` (all by default) in place; `after_step(step, loss)` may end it by returning True."""
    trained = list(model.parameters() if parameters is None else parameters)
    if heads is not None:
        trained += heads.parameters()
    optimiser = torch.optim.AdamW(
        trained, lr=schedule.learning_rate, betas=(0.9, 0.98), weight_decay=schedule.weight_decay
    )
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, schedule.factor)
    model.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    model.train()
    for step in range(schedule.steps):
        ids, answers = (torch.from_numpy(array) for array in batch())
        output = model(ids, logits_to_keep=1, use_cache=False, output_hidden_states=heads is not None)
        loss = cross_entropy(output.logits[:, -1], answers)
        if heads is not None:
            loss = loss + heads.loss(output.hidden_states[-2][:, -1], ids, answers)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        rates.step()
        if after_step is not None and after_step(step, float(loss.detach())):
            break
    model.eval()
    model.requires_grad_(False)


@torch.no_grad()
def greedy_answers(model: PreTrainedModel, ids: np.ndarray) -> np.ndarray:
    """The most likely next token [n] of prompts [n, position]."""
    return model(torch.from_numpy(ids), logits_to_keep=1, use_cache=False).logits[:, -1].argmax(-1).numpy()


@torch.no_grad()
def stream_before_last_layer(model: PreTrainedModel, ids: np.ndarray) -> torch.Tensor:
    """The residual stream at the last position that enters the last layer: [n, d_model]."""
    output = model(torch.from_numpy(ids), logits_to_keep=1, use_cache=False, output_hidden_states=True)
    return output.hidden_states[-2][:, -1]


def last_layer(model: PreTrainedModel) -> torch.nn.Module:
    layers = ARCHITECTURES[model.config.model_type].layers
    return model.get_submodule(f"{layers}.{model.config.num_hidden_layers - 1}")
