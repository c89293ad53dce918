"""What a model answers to prompts: the most likely token, and how likely the accepted ones are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heldout.data import Sample
from heldout.errors import InputError, Problem
from heldout.models import Model, Tokens, batch_size, batches
from heldout.shapes import Float, Int
from heldout.studies.trajectory.asked import Asked

OTHER = ""
"""How an answer is spelled that is none of the suite's."""


@final
@dataclass(frozen=True, eq=False)
class Answers:
    """One row a prompt: the answer as the suite spells it, its token, whether the grader passes it, and the logarithm of
    the probability of all that the grader passes (nats)."""

    spelled: NDArray[np.str_]
    tokens: Int[Tensor, " item"]
    accepted: NDArray[np.bool_]
    log_probabilities: NDArray[np.float64]


def answers_of(model: Model, asked: Asked) -> Answers:
    """Raises InputError where logits are not finite."""
    tokens = asked.tokens(model)
    ids = {answer: model.answer_token(answer) for answer in asked.candidates}
    offered = torch.tensor([ids[option] for option in asked.options], dtype=torch.long)
    columns = torch.tensor(list(ids.values()))
    chosen: list[Tensor] = []
    logarithms: list[Tensor] = []
    for batch in batches(tokens, batch_size(model, tokens.length)):
        logits = finite_logits(model, batch)
        top = offered[logits[:, offered].argmax(dim=1)] if len(offered) else logits.argmax(dim=1)
        chosen.append(top)
        total = torch.logsumexp(logits[:, offered] if len(offered) else logits, dim=1, keepdim=True)
        logarithms.append(logits[:, columns] - total)
    return _graded(asked, dict(zip(ids.values(), ids, strict=True)), torch.cat(chosen), torch.cat(logarithms))


def finite_logits(model: Model, tokens: Tokens) -> Float[Tensor, "item vocabulary"]:
    """At the last position, in double precision on the CPU."""
    logits = model.logits(tokens)[:, -1].detach().to("cpu", torch.float64)
    if not bool(torch.isfinite(logits).all()):
        found = (
            f"logits of {model.name!r} that are not finite, at {int((~torch.isfinite(logits)).any(1).sum())} prompts"
        )
        next_step = "leave this checkpoint out, and look where the training broke"
        raise InputError("answers_of", Problem(found, "numbers", next_step))
    return logits


def _graded(
    asked: Asked, spelling: dict[int, str], tokens: Int[Tensor, " item"], logarithms: Float[Tensor, "item answer"]
) -> Answers:
    spelled = np.array([spelling.get(token, OTHER) for token in tokens.tolist()], dtype=np.str_)
    accepts = np.array([[answer in sample.accepts for answer in asked.candidates] for sample in asked.samples])
    masked = logarithms.masked_fill(~torch.from_numpy(accepts), -torch.inf)
    return Answers(
        spelled=spelled,
        tokens=tokens,
        accepted=accepted_by(asked.samples, spelled),
        log_probabilities=torch.logsumexp(masked, dim=1).numpy(),
    )


def accepted_by(samples: Sequence[Sample], answers: NDArray[np.str_]) -> NDArray[np.bool_]:
    return np.array([answer in sample.accepts for answer, sample in zip(answers, samples, strict=True)], dtype=np.bool_)


def chance_of(samples: Sequence[Sample], answers: NDArray[np.str_]) -> float:
    """How often an answer passes on a prompt that it was not given to: one answer repeated is no capability."""
    distinct, counts = np.unique(answers, return_counts=True)
    table = np.array([[answer in sample.accepts for sample in samples] for answer in distinct], dtype=np.float64)
    own, n = float(accepted_by(samples, answers).sum()), len(samples)
    return (float((counts @ table).sum()) - own) / (n * (n - 1)) if n > 1 else 1.0
