"""What the evals of a battery are given: a model that answers, prompts of two roles, and what it answered so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heldout.data import ROLES, Role, Sample
from heldout.models import Model, Tokens
from heldout.shapes import Float

Answers = NDArray[np.str_]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]


class Prompts(Protocol):
    """Prompts of one role with their tokens, splits and graders."""

    @property
    def role(self) -> Role: ...
    @property
    def samples(self) -> tuple[Sample, ...]: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def split(self) -> Answers: ...
    def __len__(self) -> int: ...
    def rows(self, *splits: str) -> Rows: ...
    def chosen(self, rows: Sequence[int] | Rows) -> Prompts: ...
    def accepts(self, answers: Answers) -> Flags: ...
    def cross_accepts(self, answers: Answers) -> Flags: ...


class Answering(Protocol):
    """How a model's outputs become the strings that graders compare."""

    @property
    def one_token(self) -> bool: ...
    @property
    def max_new_tokens(self) -> int: ...
    @property
    def allowed(self) -> tuple[int, ...]:
        """The tokens that a `choice` is made among; empty where any token may answer."""
        ...

    def __call__(self, model: Model, tokens: Tokens) -> Answers: ...
    def from_logits(self, model: Model, logits: Float[Tensor, "item vocabulary"]) -> Answers: ...
    def batches(self, model: Model, tokens: Tokens) -> list[Tokens]: ...


@dataclass(frozen=True)
class BatterySettings:
    """`alpha` and `majority` are the audit's; `memory_bytes` bounds copies of the model beside the candidate."""

    alpha: float
    majority: float
    seed: int
    memory_bytes: int


@dataclass(frozen=True, eq=False)
class BatterySubject:
    """A candidate under behavioural evals. `answers` are its greedy ones; `capable` says which roles the grader passes."""

    model: Model
    baseline: Model | None
    answering: Answering
    prompts: Mapping[Role, Prompts]
    answers: Mapping[Role, Answers]
    capable: Mapping[Role, bool]
    settings: BatterySettings

    @cached_property
    def reference(self) -> tuple[str, Model]:
        """What the same elicitation is tried on: the baseline where it has the candidate's shape and tokens, else an
        untrained model of that shape."""
        if self.baseline is not None and self._alike(self.baseline):
            return "baseline", self.baseline
        untrained = self.model.randomly_initialised(self.settings.seed)
        untrained.meter = self.model.meter
        return "untrained model", untrained

    @property
    def answer_cost(self) -> int:
        """Forward passes of one answer, at most."""
        return 1 if self.answering.one_token else self.answering.max_new_tokens

    @property
    def rejected(self) -> tuple[Role, ...]:
        return tuple(role for role in ROLES if not self.capable[role])

    def _alike(self, other: Model) -> bool:
        if (other.dimensions, other.n_parameters) != (self.model.dimensions, self.model.n_parameters):
            return False
        prompts = self.prompts["verified"]
        tokens = other.tokenize([sample.input for sample in prompts.samples])
        mine = prompts.tokens.trimmed()
        return mine.ids.shape == tokens.ids.shape and torch.equal(mine.ids * mine.mask, tokens.ids * tokens.mask)
