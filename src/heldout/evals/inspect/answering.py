"""Answers a batch of requests with one model: tokens in, text, log-probabilities and references out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai.model import Logprobs, StopReason
from torch import Tensor

from heldout.evals.inspect.capture import Capture
from heldout.evals.inspect.choosing import Chooser
from heldout.evals.inspect.settings import Settings
from heldout.evals.inspect.sidecar import Reference
from heldout.models import Model

LONGEST_ANSWER = 2048
"""New tokens for a request that sets no limit, where the context has room for them."""


@dataclass(frozen=True)
class Request:
    """A prompt, how it is to be answered, and how many tokens it has."""

    prompt: str
    settings: Settings
    n_tokens: int


@dataclass(frozen=True)
class Reply:
    """What became of a request."""

    text: str
    stop_reason: StopReason
    n_input: int
    n_output: int
    logprobs: Logprobs | None
    reference: Reference | None


def room(request: Request, context_length: int) -> int:
    """The most new tokens that a request can have; requests of equal room and settings share a batch."""
    wanted = request.settings.max_tokens
    left = max(1, context_length - request.n_tokens + 1)
    return min(LONGEST_ANSWER if wanted is None else wanted, left)


def answer(model: Model, requests: Sequence[Request], capture: Capture | None) -> list[Reply]:
    """The replies to requests that share their settings and their room. Raises InputError for prompts that are too long
    and for positions that a prompt does not have."""
    prompts, settings = [request.prompt for request in requests], requests[0].settings
    tokens = model.tokenize(prompts)
    limit = min(room(request, model.context_length) for request in requests)
    chooser = Chooser(model, settings, prompts)
    sites, positions = ((), None) if capture is None else (capture.sites, capture.positions)
    if capture is not None:
        capture.check_length("heldout provider", min(request.n_tokens for request in requests))
    ids, trace = model.decode(tokens, limit, choose=chooser, sites=sites, positions=positions)
    references: list[Reference | None] = [None] * len(requests)
    if capture is not None:
        references = [*capture.keep(trace, len(requests), model.digest)]
    return [
        _reply(model.tokenizer, request, row, limit, chooser.logprobs[place], chooser.ends, references[place])
        for place, (request, row) in enumerate(zip(requests, ids, strict=True))
    ]


def _reply(
    tokenizer: Any,
    request: Request,
    ids: Tensor,
    limit: int,
    logprobs: list[Any],
    ends: Sequence[int],
    reference: Reference | None,
) -> Reply:
    row = ids.tolist()
    length = next((place for place, token in enumerate(row) if token in ends), len(row))
    text = tokenizer.decode(row[:length], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    cut = min((place for stop in request.settings.stop if (place := text.find(stop)) >= 0), default=None)
    settings = request.settings
    return Reply(
        text=text if cut is None else text[:cut],
        stop_reason=_stop_reason(length < limit or cut is not None, limit, settings.max_tokens),
        n_input=request.n_tokens,
        n_output=min(length + 1, len(row)),
        logprobs=None if settings.n_logprobs is None else Logprobs(content=logprobs[:length]),
        reference=reference,
    )


def _stop_reason(ended: bool, limit: int, wanted: int | None) -> StopReason:
    if ended:
        return "stop"
    return "max_tokens" if wanted is not None and limit == wanted else "model_length"
