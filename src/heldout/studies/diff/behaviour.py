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
from heldout.shapes import Bool, Float, Int
from heldout.studies.diff.prompts import Prompts

Array = NDArray[np.float64]


OF_ANSWERS = "log-probability of accepted answers"
OF_TEXT = "mean log-probability of the text's tokens"


@final
@dataclass(frozen=True, eq=False)
class NextToken:
    """Answers of one token, behind a prompt. `accepted` [prompt, answer] are their ids, `counted` those that are none but
    fill up the row."""

    accepted: Int[Tensor, "prompt answer"]
    counted: Bool[Tensor, "prompt answer"]
    last: int = 1

    def scores(self, rows: Tensor, batch: Tokens, logits: Tensor) -> Float[Tensor, " row"]:
        """The logarithm of the accepted answers' summed probability."""
        logarithms = logits[:, -1].double().log_softmax(-1)
        chosen = logarithms.gather(1, self.accepted[rows].to(logits.device))
        return chosen.masked_fill(~self.counted[rows].to(logits.device), -torch.inf).logsumexp(1)

    def by_prompt(self, values: Array) -> Array:
        return values


@final
@dataclass(frozen=True, eq=False)
class Continuation:
    """What is scored are the last `lengths` tokens of each row, which belongs to the prompt `owners`; of a text the mean
    over tokens, of an answer their sum."""

    lengths: Int[Tensor, " row"]
    owners: NDArray[np.int64]
    mean: bool

    @property
    def last(self) -> int:
        """So many logits are read."""
        return int(self.lengths.max()) + 1

    def scores(self, rows: Tensor, batch: Tokens, logits: Tensor) -> Float[Tensor, " row"]:
        """The log-probability of each row's scored tokens."""
        kept = logits.shape[1] - 1
        logarithms = logits[:, :-1].double().log_softmax(-1)
        chosen = logarithms.gather(2, batch.ids[:, -kept:, None].to(logits.device)).squeeze(2)
        lengths = self.lengths[rows].to(logits.device)
        scored = torch.arange(kept, 0, -1, device=logits.device)[None] <= lengths[:, None]
        total = torch.where(scored, chosen, 0.0).sum(1)
        return total / lengths if self.mean else total

    def by_prompt(self, values: Array) -> Array:
        """The logarithm of the summed probability of a prompt's rows."""
        if len(np.unique(self.owners)) == len(self.owners):
            return values
        return np.array([np.logaddexp.reduce(values[self.owners == place]) for place in range(self.owners.max() + 1)])


@final
@dataclass(frozen=True, eq=False)
class Behaviour:
    """The rows that are read, and how they are scored."""

    quantity: str
    tokens: Tokens
    scoring: NextToken | Continuation

    def values(self, model: Model) -> Array:
        """One number a prompt, under the edits and weights that the model has now."""
        found = torch.empty(len(self.tokens), dtype=torch.float64)
        for rows, batch in batches_by_length(
            self.tokens, batch_size(model, self.tokens.length, last=self.scoring.last)
        ):
            found[rows] = self.batch_scores(model, rows, batch)
        return self.scoring.by_prompt(found.numpy())

    def batch_scores(self, model: Model, rows: Tensor, batch: Tokens) -> Float[Tensor, " row"]:
        logits = model.logits(batch, last=min(self.scoring.last, batch.length))
        return self.scoring.scores(rows, batch, logits).cpu()


def behaviour_of(model: Model, prompts: Prompts) -> Behaviour:
    """How likely the accepted answers of a suite are, or the tokens of a text."""
    if prompts.asks:
        return _of_answers(model, prompts)
    tokens = model.tokenize(prompts.texts)
    lengths = (tokens.mask.sum(dim=1) - 1).clamp_min(1).cpu()
    return Behaviour(OF_TEXT, tokens, Continuation(lengths, np.arange(len(tokens)), mean=True))


def _of_answers(model: Model, prompts: Prompts) -> Behaviour:
    asked, spelt = model.tokenize(prompts.texts), answer_ids(model)
    answers = [[spelt(answer) for answer in dict.fromkeys(_accepted(sample))] for sample in prompts.samples]
    if all(len(ids) == 1 for own in answers for ids in own):
        accepted = Tokens.from_ids([[ids[0] for ids in own] for own in answers])
        return Behaviour(OF_ANSWERS, asked, NextToken(accepted.ids, accepted.mask.bool()))
    rows = [
        (place, [*row[mask.bool()].tolist(), *ids], len(ids))
        for place, (row, mask, own) in enumerate(zip(asked.ids, asked.mask, answers, strict=True))
        for ids in own
    ]
    owners, texts, lengths = zip(*rows, strict=True)
    tokens = Tokens.from_ids(texts, pad_id=padding_id(model.tokenizer, model.vocabulary_size)).to(model.device)
    return Behaviour(OF_ANSWERS, tokens, Continuation(torch.tensor(lengths), np.array(owners), mean=False))


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
