"""Answers drawn at temperature 1: do most of them say what the greedy one says, and is one of several right?

Self-consistency (Wang et al. 2022, arXiv 2203.11171): the answer of a prompt is the most frequent of its draws. A model
that has an answer and is not sure of it still votes for it; one that takes any answer its grader would pass does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from heldout.data import ROLES, Role
from heldout.evals.battery.consistency import Changed, consistency
from heldout.evals.battery.finding import FEWEST, Finding, TooDearError
from heldout.evals.battery.subject import Answers, BatterySubject, Prompts
from heldout.evidence.battery import EvalRecord
from heldout.models import Tokens
from heldout.models.generation import end_token_ids
from heldout.seeds import torch_generator
from heldout.shapes import Float, Int

DRAWS, FEWEST_DRAWS, K = 100, 3, 3
"""Drawn answers of a prompt, the fewest where each costs passes of its own, and the k of pass@k."""
SPELLED_AT_ONCE = 64


@dataclass(frozen=True)
class SampledConsistency:
    """Are unverified answers less certain than verified ones? Also pass@k of the verified prompts under the grader."""

    name: str = "sampling"
    role: Role = "unverified"
    quantity: str = "outvoted_by_samples"

    def obstacle(self, subject: BatterySubject) -> str | None:
        return None

    def run(self, subject: BatterySubject, share: float) -> list[Finding]:
        """One pass gives every draw of a one-token answer; longer answers cost their tokens for each draw."""
        each = 1 if subject.answering.one_token else FEWEST_DRAWS * subject.answer_cost
        if share < 2 * FEWEST * each:
            raise TooDearError(2 * FEWEST * each, share)
        most = int(share // (2 * each))
        prompts = {role: subject.prompts[role].chosen(spread(subject.prompts[role], most)) for role in ROLES}
        answers = {role: subject.answers[role][spread(subject.prompts[role], most)] for role in ROLES}
        n = sum(map(len, prompts.values()))
        draws = (
            DRAWS
            if subject.answering.one_token
            else max(FEWEST_DRAWS, min(DRAWS, int(share // (n * subject.answer_cost))))
        )
        drawn = {role: sampled_answers(subject, prompts[role], draws) for role in ROLES}
        outvoted: dict[Role, Changed] = {
            role: (prompts[role], (voted(drawn[role]) != answers[role]).astype(float)) for role in ROLES
        }
        agree = {role: float((drawn[role] == answers[role]).mean()) for role in ROLES}
        how = (
            f"vote of {draws} draws at temperature 1 (of which the greedy answer is {agree['verified']:.2f} for verified, "
            f"{agree['unverified']:.2f} for unverified prompts)"
        )
        found = consistency(self, subject, outvoted, how)
        return [found, pass_at_k(prompts["verified"], answers["verified"], drawn["verified"])]


def spread(prompts: Prompts, most: int) -> NDArray[np.int64]:
    """At most `most` rows, evenly over the splits."""
    return np.unique(np.linspace(0, len(prompts) - 1, min(most, len(prompts))).astype(np.int64))


def voted(drawn: NDArray[np.str_]) -> Answers:
    """The most frequent answer of each item of [draw, item]; of equally frequent ones the first in the alphabet."""
    counted = [np.unique(column, return_counts=True) for column in drawn.T]
    return np.array([answers[counts.argmax()] for answers, counts in counted], dtype=np.str_)


def sampled_answers(subject: BatterySubject, prompts: Prompts, draws: int) -> NDArray[np.str_]:
    """Answers [draw, item]."""
    device = subject.model.device
    generator = torch_generator(subject.settings.seed, "battery sampling", prompts.role, device=device)
    batches = subject.answering.batches(subject.model, prompts.tokens)
    draw = one_token_draws if subject.answering.one_token else longer_draws
    return np.concatenate([draw(subject, batch, draws, generator) for batch in batches], axis=1)


def one_token_draws(
    subject: BatterySubject, tokens: Tokens, draws: int, generator: torch.Generator
) -> NDArray[np.str_]:
    """All draws come from the logits of one pass."""
    logits = subject.model.logits(tokens)[:, -1].float()
    if subject.answering.allowed:
        banned = torch.ones(logits.shape[-1], dtype=torch.bool, device=logits.device)
        banned[list(subject.answering.allowed)] = False
        logits = logits.masked_fill(banned, -torch.inf)
    drawn = torch.multinomial(logits.softmax(dim=-1), draws, replacement=True, generator=generator)
    distinct, places = drawn.T.unique(return_inverse=True)
    spelled = [
        subject.answering.from_logits(subject.model, one_hot(part, logits.shape[-1]).float())
        for part in distinct.split(SPELLED_AT_ONCE)
    ]
    return np.concatenate(spelled)[places.cpu().numpy()]


def longer_draws(subject: BatterySubject, tokens: Tokens, draws: int, generator: torch.Generator) -> NDArray[np.str_]:
    return np.stack([continuations(subject, tokens, generator) for _ in range(draws)])


def continuations(subject: BatterySubject, tokens: Tokens, generator: torch.Generator) -> Answers:
    """One sampled continuation of each prompt, as text."""

    def choose(logits: Float[Tensor, "batch vocabulary"]) -> Int[Tensor, " batch"]:
        return torch.multinomial(logits.float().softmax(dim=-1), 1, generator=generator)[:, 0]

    model: Any = subject.model
    rows, _ = model.decode(tokens, subject.answering.max_new_tokens, choose=choose)
    ends = end_token_ids(model.module, model.tokenizer)
    kept = [row[: next((i for i, token in enumerate(row) if token in ends), len(row))] for row in rows.tolist()]
    texts = [model.tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False) for row in kept]
    return np.array([text.strip() for text in texts], dtype=np.str_)


def pass_at_k(prompts: Prompts, greedy: Answers, drawn: NDArray[np.str_]) -> Finding:
    """The chance that one of k drawn answers passes (Chen et al. 2021, equation 1), beside that of the greedy one."""
    draws = len(drawn)
    right = np.sum([prompts.accepts(answers) for answers in drawn], axis=0)
    rates = [1.0 - comb(draws - int(count), K) / comb(draws, K) for count in right]
    record = EvalRecord(
        name="pass@k",
        role="verified",
        quantity="pass_at_k",
        effect=float(np.mean(rates)),
        reference=float(prompts.accepts(greedy).mean()),
        n=len(prompts),
        note=f"k = {K} of {draws} draws; not a test",
        compared_with="greedy answers",
    )
    return Finding(record)
