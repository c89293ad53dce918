"""What the fine-tune changed in what a model does, as one number a prompt: a log-probability in nats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heldout.data import Sample
from heldout.models import Model, Tokens, batch_size, batches_by_length
from heldout.models.text import padding_id
from heldout.studies.diff.prompts import Prompts

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Behaviour:
    """`tokens` are the rows that are read, prompts with their answers behind them; the last `answer_lengths` tokens of a row
    are what is scored, and `prompt_of` says whose row it is. A prompt's value is the logarithm of the summed
    probability of its rows; of a text, which has one row, the mean over its tokens."""

    quantity: str
    tokens: Tokens
    answer_lengths: tuple[int, ...]
    prompt_of: tuple[int, ...]
    answers_of_one_token: bool

    def values(self, model: Model) -> Array:
        """One number a prompt, under the edits and weights that the model has now."""
        return self.by_prompt(self.row_values(model))

    def by_prompt(self, rows: Array) -> Array:
        """Of a value a row, one a prompt."""
        owner = np.array(self.prompt_of)
        if len(set(self.prompt_of)) == len(owner):
            return rows
        return np.array([np.logaddexp.reduce(rows[owner == place]) for place in range(owner.max() + 1)])

    def row_values(self, model: Model) -> Array:
        found = torch.empty(len(self.tokens), dtype=torch.float64)
        last = max(self.answer_lengths) + 1
        size = batch_size(model, self.tokens.length, last=min(last, self.tokens.length))
        for rows, batch in batches_by_length(self.tokens, size):
            found[rows] = self.scores(rows, batch, model.logits(batch, last=min(last, batch.length))).cpu()
        return found.numpy()

    def scores(self, rows: Tensor, batch: Tokens, logits: Tensor) -> Tensor:
        """Of logits at the last positions, the summed (of a text the mean) log-probability of each row's scored tokens."""
        kept = logits.shape[1] - 1
        logarithms = logits[:, :-1].double().log_softmax(-1)
        chosen = logarithms.gather(2, batch.ids[:, -kept:, None].to(logits.device)).squeeze(2)
        lengths = torch.tensor([self.answer_lengths[row] for row in rows.tolist()], device=logits.device)
        scored = torch.arange(kept, 0, -1, device=logits.device)[None] <= lengths[:, None]
        total = torch.where(scored, chosen, 0.0).sum(1)
        return total if self.answers_of_one_token or self.quantity == OF_ANSWERS else total / lengths


OF_ANSWERS = "log-probability of accepted answers"
OF_TEXT = "mean log-probability of the text's tokens"


def behaviour_of(model: Model, prompts: Prompts) -> Behaviour:
    """How likely the accepted answers of a suite are, or the tokens of a text."""
    if prompts.asks:
        return _of_answers(model, prompts)
    tokens = model.tokenize(prompts.texts)
    lengths = [max(1, int(mask.sum()) - 1) for mask in tokens.mask]
    return Behaviour(OF_TEXT, tokens, tuple(lengths), tuple(range(len(tokens))), False)


def _of_answers(model: Model, prompts: Prompts) -> Behaviour:
    asked = model.tokenize(prompts.texts)
    spelt = answer_ids(model)
    rows: list[list[int]] = []
    lengths: list[int] = []
    owners: list[int] = []
    for place, sample in enumerate(prompts.samples):
        ids = asked.ids[place][asked.mask[place].bool()].tolist()
        for answer in dict.fromkeys(_accepted(sample)):
            behind = spelt(answer)
            rows.append([*ids, *behind])
            lengths.append(len(behind))
            owners.append(place)
    pad = padding_id(model.tokenizer, model.vocabulary_size)
    tokens = Tokens.from_ids(rows, pad_id=pad).to(model.device)
    return Behaviour(OF_ANSWERS, tokens, tuple(lengths), tuple(owners), max(lengths) == 1)


def _accepted(sample: Sample) -> tuple[str, ...]:
    return sample.accepts if sample.target is None else (sample.target,)


def answer_ids(model: Model) -> Callable[[str], list[int]]:
    """The tokens of an answer: the one that it is, or those that it has behind a space."""

    def spelt(answer: str) -> list[int]:
        exact = model.tokenizer.convert_tokens_to_ids(answer)
        if exact is not None and exact != model.tokenizer.unk_token_id:
            return [int(exact)]
        return [int(token) for token in model.tokenizer.encode(f" {answer}", add_special_tokens=False)]

    return spelt
