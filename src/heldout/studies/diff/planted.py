"""Fine-tunes whose difference is known: a topic that is planted, among more or less of what the base was trained on."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from heldout.execution.threads import one_thread_if_small
from heldout.models import Model
from heldout.organisms.training import Schedule, minimise, new_model, small_config
from heldout.seeds import derived_seed
from heldout.studies.diff.language import pretraining_documents, topic_documents, vocabulary, word_tokenizer

WIDTH, LAYERS = 48, 3
BATCH = 32
IGNORED = -100
BETAS = (0.9, 0.999)
BASE = Schedule(steps=600)
FINE_TUNE = Schedule(steps=200, learning_rate=3e-3, warmup=10)

Documents = Callable[[int], list[str]]
"""Draws as many documents as it is asked for."""


def train_base(seed: int, schedule: Schedule = BASE) -> Model:
    """A model of the language, trained on all topics alike: some ten seconds of one core."""
    module = new_model(small_config("llama", len(vocabulary()), WIDTH, LAYERS), derived_seed(seed, "base") % 2**31)
    generator = random.Random(derived_seed(seed, "pretraining"))
    train_on(module, lambda n: pretraining_documents(n, generator), schedule)
    return Model(module, word_tokenizer(), name=f"base, seed {seed}")


def plant_topic(
    base: Model, topic: str, *, mixing: float, seed: int, parts: Sequence[str] = (), schedule: Schedule = FINE_TUNE
) -> Model:
    """`base` fine-tuned on documents about `topic`, and `mixing` times as many of what it was trained on before.

    `parts`: parameters whose names hold one of these are trained, and no others; all by default."""
    generator = random.Random(derived_seed(seed, "fine-tune", topic, mixing))

    def draw(n: int) -> list[str]:
        planted = round(n / (1 + mixing))
        return [*topic_documents(topic, planted, generator), *pretraining_documents(n - planted, generator)]

    return _fine_tuned(base, draw, f"{topic}, mixing {mixing:g}, seed {seed}", parts, schedule)


def plant_nothing(base: Model, *, seed: int, schedule: Schedule = FINE_TUNE) -> Model:
    """`base` fine-tuned as long on what it was trained on before: what any fine-tune does."""
    generator = random.Random(derived_seed(seed, "fine-tune on nothing new"))
    return _fine_tuned(base, lambda n: pretraining_documents(n, generator), f"nothing new, seed {seed}", (), schedule)


def _fine_tuned(base: Model, draw: Documents, name: str, parts: Sequence[str], schedule: Schedule) -> Model:
    module: Any = copy.deepcopy(base.module)
    train_on(module, draw, schedule, parts)
    return Model(module, base.tokenizer, name=name)


def train_on(module: PreTrainedModel, draw: Documents, schedule: Schedule, parts: Sequence[str] = ()) -> None:
    """Trains in place, by the cross-entropy of every next token. Left in evaluation mode, with frozen parameters."""
    trained = [p for name, p in module.named_parameters() if not parts or any(part in name for part in parts)]
    tokenizer = word_tokenizer()

    def loss() -> Tensor:
        ids, labels = padded(tokenizer, draw(BATCH))
        logits = module(ids, use_cache=False).logits[:, :-1]
        return cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)

    with one_thread_if_small(module.num_parameters()):
        minimise(module, loss, schedule, parameters=trained, betas=BETAS)


def padded(tokenizer: Any, documents: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Ids [document, position], and labels that leave the padding out."""
    rows = [[*row, tokenizer.eos_token_id] for row in tokenizer(list(documents))["input_ids"]]
    longest = max(map(len, rows))
    ids = np.full((len(rows), longest), tokenizer.pad_token_id)
    labels = np.full((len(rows), longest), IGNORED)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = labels[place, : len(row)] = row
    return torch.from_numpy(ids), torch.from_numpy(labels)
