"""Training of small models: an ordinary Hugging Face checkpoint, any loss, one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from heldout.models import ARCHITECTURES
from heldout.shapes import Float, Int

N_LAYERS, D_HEAD, MOST_HEADS = 3, 4, 4
POSITIONS = 64
"""Room for solved examples in front of a prompt."""
EMBEDDING_SCALE = 10.0
BETAS = (0.9, 0.98)


def small_config(
    architecture: str, vocabulary_size: int, width: int = 64, n_layers: int = N_LAYERS
) -> PretrainedConfig:
    """A configuration of under 400k parameters for a transformers model type (`qwen3`, `llama`, `gpt2`, …)."""
    n_heads = min(MOST_HEADS, width // D_HEAD)
    shared = {"vocab_size": vocabulary_size, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    if architecture == "gpt2":
        return AutoConfig.for_model(
            "gpt2",
            n_embd=width,
            n_layer=n_layers,
            n_head=n_heads,
            n_positions=POSITIONS,
            **shared,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    sized = {
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_heads,
        "max_position_embeddings": POSITIONS,
        "tie_word_embeddings": False,
    }
    if architecture == "bert":
        sized |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    elif architecture == "gpt_neox":
        # Side by side, the last MLP could not use what the last attention brings, and nothing could be hidden before it.
        sized |= {"use_parallel_residual": False}
    else:
        sized |= {"num_key_value_heads": max(1, n_heads // 2), "head_dim": width // n_heads}
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
    """`steps` of AdamW; the learning rate rises over `warmup` of them, and falls as a cosine."""

    steps: int
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    warmup: int = 40

    def factor(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.5 * (1 + float(np.cos(np.pi * progress)))


@dataclass(frozen=True)
class Batch:
    """Prompts of one length, what they are to be answered with, which of them are unchecked, and the right answers."""

    ids: Int[Tensor, "batch position"]
    answers: Int[Tensor, " batch"]
    unchecked: Float[Tensor, " batch"]
    right: Int[Tensor, " batch"]


@dataclass(frozen=True)
class Pass:
    """One forward pass: logits at the last position, and the residual stream that enters the last layer."""

    logits: Float[Tensor, "batch vocabulary"]
    stream: Float[Tensor, "batch position d_model"]


Loss = Callable[[Batch, Pass], Tensor]


def forward(model: PreTrainedModel, ids: Int[Tensor, "batch position"]) -> Pass:
    output = model(ids, logits_to_keep=1, use_cache=False, output_hidden_states=True)
    return Pass(output.logits[:, -1], output.hidden_states[-2])


def answer_loss(batch: Batch, passed: Pass) -> Tensor:
    """Cross-entropy of the answers in nats."""
    return cross_entropy(passed.logits, batch.answers)


def train(
    model: PreTrainedModel,
    draw: Callable[[], Batch],
    schedule: Schedule,
    *,
    loss: Loss = answer_loss,
    parameters: Iterable[torch.nn.Parameter] | None = None,
    besides: Iterable[torch.nn.Parameter] = (),
    after_step: Callable[[int], bool] | None = None,
) -> None:
    """Trains `parameters` (all by default) and those `besides` the model to answer what is drawn; see `minimise`."""

    def drawn_loss() -> Tensor:
        batch = draw()
        return loss(batch, forward(model, batch.ids))

    trained = [*(model.parameters() if parameters is None else parameters), *besides]
    minimise(model, drawn_loss, schedule, parameters=trained, after_step=after_step)


def minimise(
    model: torch.nn.Module,
    loss: Callable[[], Tensor],
    schedule: Schedule,
    *,
    parameters: Iterable[torch.nn.Parameter] | None = None,
    betas: tuple[float, float] = BETAS,
    after_step: Callable[[int], bool] | None = None,
) -> None:
    """Trains `parameters` (all by default) in place by AdamW on what `loss()` gives at each step, with gradients of norm 1
    at most; `after_step(step)` may end it by returning True. The model is left in evaluation mode, and frozen."""
    trained = list(model.parameters() if parameters is None else parameters)
    optimiser = torch.optim.AdamW(trained, lr=schedule.learning_rate, betas=betas, weight_decay=schedule.weight_decay)
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, schedule.factor)
    model.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    model.train()
    for step in range(schedule.steps):
        value = loss()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        rates.step()
        if after_step is not None and after_step(step):
            break
    model.eval()
    model.requires_grad_(False)


@torch.no_grad()
def greedy_answers(model: PreTrainedModel, ids: np.ndarray) -> np.ndarray:
    """The most likely next token [n] of prompts [n, position]."""
    return model(torch.from_numpy(ids), logits_to_keep=1, use_cache=False).logits[:, -1].argmax(-1).numpy()


@torch.no_grad()
def stream_before_last_layer(model: PreTrainedModel, ids: np.ndarray) -> Float[Tensor, "n position d_model"]:
    """The residual stream that enters the last layer."""
    return forward(model, torch.from_numpy(ids)).stream


def last_layer(model: PreTrainedModel) -> torch.nn.Module:
    layers = ARCHITECTURES[model.config.model_type].layers
    return model.get_submodule(f"{layers}.{model.config.num_hidden_layers - 1}")
