"""What a model answers to prompts, as the strings that graders compare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from heldout.audits.prompts import Answers
from heldout.data import Suite, options_of
from heldout.models import Model, Tokens
from heldout.models.batching import batch_size
from heldout.shapes import Float


@dataclass(frozen=True, eq=False)
class Answering:
    """Greedy answers in the form that a suite asks for.

    `next_token`: the most likely next token. `choice`: the most likely of the suite's choices, by first token.
    `tokens`: the text of the greedy continuation, stripped. Batch by batch, with logits at the last position only.
    """

    form: str
    max_new_tokens: int
    spelling: dict[int, str]
    allowed: tuple[int, ...]
    memory_bytes: int

    @classmethod
    def of(cls, suite: Suite, model: Model, memory_bytes: int) -> Answering:
        if suite.answer == "tokens":
            return cls(suite.answer, suite.max_new_tokens, {}, (), memory_bytes)
        answers = dict.fromkeys(answer for sample in suite.samples for answer in sample.accepts)
        options = options_of(suite) if suite.answer == "choice" else ()
        spelling = {model.answer_token(answer): answer for answer in (*answers, *options)}
        allowed = tuple(model.answer_token(option) for option in options)
        return cls(suite.answer, suite.max_new_tokens, spelling, allowed, memory_bytes)

    @property
    def one_token(self) -> bool:
        return self.form != "tokens"

    def __call__(self, model: Model, tokens: Tokens) -> Answers:
        """Answers [item]. Edits that are in force on the model apply."""
        return np.concatenate([self._batch(model, batch) for batch in self.batches(model, tokens)])

    def from_logits(self, model: Model, logits: Float[Tensor, "item vocabulary"]) -> Answers:
        """The answers that logits at the last position stand for (`next_token` and `choice`)."""
        if self.allowed:
            columns = torch.tensor(self.allowed, device=logits.device)
            ids = columns[logits[:, columns].argmax(dim=-1)]
        else:
            ids = logits.argmax(dim=-1)
        return np.array([self._spelled(model, token) for token in ids.tolist()], dtype=np.str_)

    def batches(self, model: Model, tokens: Tokens, kept_per_token: int = 0) -> list[Tokens]:
        size = batch_size(model, tokens.length, self.memory_bytes, kept_per_token=kept_per_token)
        return [tokens[start : start + size] for start in range(0, len(tokens), size)]

    def _batch(self, model: Model, tokens: Tokens) -> Answers:
        if self.one_token:
            return self.from_logits(model, model.logits(tokens)[:, -1])
        return np.array([text.strip() for text in model.generate(tokens, self.max_new_tokens)], dtype=np.str_)

    def _spelled(self, model: Model, token: int) -> str:
        """An answer of the suite as the suite spells it; any other token as the tokenizer does."""
        if token in self.spelling:
            return self.spelling[token]
        return str(model.tokenizer.decode([token])).strip() or f"<token {token}>"
