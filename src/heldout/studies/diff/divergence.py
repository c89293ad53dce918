"""Where on a text the two models predict differently: the Kullback–Leibler divergence at every token, in nats."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from heldout.errors import InputError, Problem
from heldout.models import batch_size, batches_by_length
from heldout.statistics import mean_interval
from heldout.studies.diff.pairing import Pairing
from heldout.studies.diff.prompts import Prompts

ANSWER = "the answer"
END = "the end"
Array = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Divergence:
    """KL(tuned ‖ base) of the next token, [position] for each prompt, counted from its first token, and what the next
    token is: its text, and its kind."""

    source: str
    values: tuple[Array, ...]
    following: tuple[tuple[str, ...], ...]
    kinds: tuple[tuple[str, ...], ...]

    @property
    def by_prompt(self) -> Array:
        """The mean over a prompt's tokens."""
        return np.array([float(values.mean()) for values in self.values])

    @property
    def mean(self) -> float:
        return float(self.by_prompt.mean())

    @property
    def interval(self) -> tuple[float, float] | None:
        return mean_interval(self.by_prompt)

    def along(self, most: int = 64) -> list[tuple[int, float, tuple[float, float] | None, int]]:
        """Position, mean, its interval over prompts, and how many prompts are that long."""
        rows: list[tuple[int, float, tuple[float, float] | None, int]] = []
        for position in range(min(most, max(map(len, self.values)))):
            there = np.array([values[position] for values in self.values if len(values) > position])
            rows.append((position, float(there.mean()), mean_interval(there), len(there)))
        return rows

    def by_kind(self) -> dict[str, Array]:
        """Of each kind the mean over a prompt's tokens of that kind, for the prompts that have one."""
        found: dict[str, list[float]] = {}
        for values, kinds in zip(self.values, self.kinds, strict=True):
            for kind in dict.fromkeys(kinds):
                chosen = [value for value, own in zip(values, kinds, strict=True) if own == kind]
                found.setdefault(kind, []).append(float(np.mean(chosen)))
        return {kind: np.array(means) for kind, means in found.items()}

    def by_token(self, least: int = 3) -> list[tuple[str, float, int]]:
        """Before which tokens predictions differ most: the token, the mean, and how often it occurs."""
        found: dict[str, list[float]] = {}
        for values, texts in zip(self.values, self.following, strict=True):
            for value, text in zip(values, texts, strict=True):
                found.setdefault(text, []).append(float(value))
        rows = [(text, float(np.mean(each)), len(each)) for text, each in found.items() if len(each) >= least]
        return sorted(rows, key=lambda row: -row[1])


def divergence(pairing: Pairing, prompts: Prompts) -> Divergence:
    """Raises InputError where a model gives logits that are not finite."""
    base, tuned = pairing.base, pairing.tuned
    tokens = base.tokenize(prompts.texts)
    values: list[Array] = [np.empty(0)] * len(tokens)
    ids: list[list[int]] = [[]] * len(tokens)
    for rows, batch in batches_by_length(tokens, batch_size(base, tokens.length, last=tokens.length)):
        here, there = (model.logits(batch, last=batch.length).double().log_softmax(-1) for model in (base, tuned))
        there = there.to(here)
        between = (there.exp() * (there - here)).nan_to_num(nan=0.0, posinf=float("inf")).sum(-1)
        refuse_unusable_logits(prompts, pairing, here, there)
        for row, own, mask, read in zip(rows.tolist(), between, batch.mask.bool(), batch.ids, strict=True):
            values[row] = own[mask].clamp_min(0.0).cpu().numpy()
            ids[row] = read[mask].tolist()
    kinds = TokenKinds(base.tokenizer)
    end = ANSWER if prompts.asks else END
    following = tuple((*(kinds.text(token) for token in row[1:]), end) for row in ids)
    named = tuple((*(kinds.kind(token) for token in row[1:]), end) for row in ids)
    return Divergence(prompts.source, tuple(values), following, named)


def refuse_unusable_logits(prompts: Prompts, pairing: Pairing, *logits: torch.Tensor) -> None:
    for model, own in zip((pairing.base, pairing.tuned), logits, strict=True):
        if bool(own.isnan().any()):
            raise InputError(
                f"divergence({model.name!r})",
                Problem(
                    f"logits of {model.name} that are NaN, on prompts of {prompts.source}",
                    "finite logits for every prompt",
                    "load the model in float32, or take a checkpoint from before the training diverged",
                ),
            )


@final
class TokenKinds:
    """What a token is, by how it is spelt: special, punctuation, number, word, or (where the tokenizer marks the
    beginnings of words) a piece inside one."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = set(tokenizer.all_special_ids)
        vocabulary: Mapping[str, int] = tokenizer.get_vocab()
        self._marked = any(word[:1] in "Ġ▁" and len(word) > 1 for word in vocabulary)
        self._known: dict[int, tuple[str, str]] = {}

    def text(self, token: int) -> str:
        return self._of(token)[0]

    def kind(self, token: int) -> str:
        return self._of(token)[1]

    def _of(self, token: int) -> tuple[str, str]:
        if token not in self._known:
            text = str(self._tokenizer.decode([token])).strip()
            raw: Sequence[str] = self._tokenizer.convert_ids_to_tokens([token])
            inside = self._marked and raw[0][:1] not in ("Ġ", "▁")
            self._known[token] = (text or f"<token {token}>", self._named(token, text, inside))
        return self._known[token]

    def _named(self, token: int, text: str, inside: bool) -> str:
        if token in self._special:
            return "special"
        if not re.search(r"\w", text):
            return "punctuation"
        if re.fullmatch(r"[\d.,]+", text):
            return "number"
        return "inside a word" if inside else "word"
