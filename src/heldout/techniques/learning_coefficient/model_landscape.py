"""A language model on prompts as a landscape: the loss of its tokens, or how far it is from itself.

The loss of given tokens is what the literature measures. A trained model is hardly ever at a minimum of it on some
prompts, and a reading is then refused. The divergence from the model's own outputs has its minimum at the model by
construction, and asks how many directions of the weights matter to what the model does on these prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from heldout.errors import InputError, Problem
from heldout.models import Model
from heldout.shapes import Float
from heldout.techniques.learning_coefficient.landscape import Landscape
from heldout.techniques.learning_coefficient.module_landscape import module_landscape
from heldout.techniques.path_length import Labelled


def token_loss(
    model: Model, data: Labelled, *, parameters: Collection[str] | None = None, together: bool = False
) -> Landscape:
    """Mean cross-entropy (nats) of the labelled tokens among their answers; `n` is how many are read.

    All prompts are one batch. Passes are counted by the estimate, not by the model's meter. Raises InputError as
    `module_landscape` does, and inside `model.intervene`, whose edits it would not see."""
    read, targets = data.read, data.targets
    if data.answers is not None:
        targets = (targets.unsqueeze(-1) == data.answers).int().argmax(dim=-1)
    chosen = targets[read].to(model.device)

    def loss(logits: Float[Tensor, "read answer"]) -> Float[Tensor, ""]:
        return cross_entropy(logits, chosen)

    return _landscape(model, data, loss, len(chosen), parameters, together)


def own_outputs(
    model: Model, data: Labelled, *, parameters: Collection[str] | None = None, together: bool = False
) -> Landscape:
    """Mean Kullback–Leibler divergence (nats) from the model as it is, at the positions that are read; what is right
    there has no part in it. It is exact, so there is no number of observations, and nβ has to be chosen.

    Otherwise as `token_loss`."""
    with torch.no_grad():
        own = _read_logits(model, data, model.module).log_softmax(dim=-1)

    def loss(logits: Float[Tensor, "read answer"]) -> Float[Tensor, ""]:
        return kl_div(logits.log_softmax(dim=-1), own, reduction="batchmean", log_target=True)

    return _landscape(model, data, loss, None, parameters, together)


def _landscape(
    model: Model,
    data: Labelled,
    loss: Callable[[Tensor], Tensor],
    n: int | None,
    parameters: Collection[str] | None,
    together: bool,
) -> Landscape:
    if model.edits:
        problem = Problem(f"{len(model.edits)} edits of the model", "a model as it is", "leave model.intervene first")
        raise InputError(f"learning coefficient of {model!r}", problem)

    def of_call(call: Callable[..., Any]) -> Tensor:
        return loss(_read_logits(model, data, call))

    return module_landscape(model.module, of_call, parameters=parameters, n=n, together=together)


def _read_logits(model: Model, data: Labelled, call: Callable[..., Any]) -> Float[Tensor, "read answer"]:
    """Logits where targets are read, of the answers among which they are."""
    tokens, last = data.tokens.to(model.device), -min(data.positions)
    inputs = {"input_ids": tokens.ids, "attention_mask": tokens.mask, "position_ids": tokens.position_ids}
    logits: Tensor = call(**inputs, use_cache=False, logits_to_keep=last).logits
    rows, places = data.read.nonzero(as_tuple=True)
    positions = torch.tensor(data.positions)[places] + last
    read = logits[rows.to(model.device), positions.to(model.device)]
    return read if data.answers is None else read[:, data.answers.to(model.device)]
