"""Two models side by side: what of them can be compared, and what cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from heldout.errors import Problems
from heldout.models import Model
from heldout.models.unknown_words import refuse_unknown_words


@final
@dataclass(frozen=True, eq=False)
class Pairing:
    """`parameters` are those that both have in the same shape. `left_out` says in words what cannot be compared.

    `same_tokens`: texts become the same ids in both, from the same vocabulary; `same_shape`: every parameter of one is a
    parameter of the other; `same_width`: their streams have the same width and depth."""

    base: Model
    tuned: Model
    parameters: tuple[str, ...]
    same_tokens: bool
    same_shape: bool
    same_width: bool
    left_out: tuple[str, ...]


def paired(base: Model, tuned: Model, texts: Sequence[str]) -> Pairing:
    """Raises InputError for models that have nothing in common, and for weights that are not finite."""
    called = f"paired({base.name!r}, {tuned.name!r})"
    refuse_unusable_weights(called, base, tuned)
    here, there = ({name: p.shape for name, p in model.module.named_parameters()} for model in (base, tuned))
    shared = tuple(name for name in here if here[name] == there.get(name))
    others = sorted({*here, *there} - set(shared))
    same_tokens = has_same_tokens(base, tuned, texts)
    if same_tokens and texts:
        refuse_unknown_words(called, base, texts)
    same_width = (base.d_model, base.n_layers) == (tuned.d_model, tuned.n_layers)
    problems = Problems(called)
    if not shared and not same_tokens:
        found = f"no parameter of the same name and shape, and different vocabularies ({base!r}, {tuned!r})"
        problems.add(found, "a model and a fine-tune of it", "name the model that the fine-tune began with")
    problems.raise_if_any()
    told: list[str] = []
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        told.append(f"weights of {', '.join(others[:3])}{more}: no counterpart of the same shape")
        told.append("interchange of components: it needs models of the same shape")
    if not same_tokens:
        told.append(
            "behaviour, divergence, activation differences and interchange: the models have different vocabularies"
        )
    elif not same_width:
        told.append("activation differences: the streams have different widths or depths")
    return Pairing(base, tuned, shared, same_tokens, not others, same_width, tuple(told))


def has_same_tokens(base: Model, tuned: Model, texts: Sequence[str]) -> bool:
    if base.vocabulary_size != tuned.vocabulary_size or base.tokenizer.get_vocab() != tuned.tokenizer.get_vocab():
        return False
    one, other = base.tokenize(texts).ids, tuned.tokenize(texts).ids
    return one.shape == other.shape and bool((one == other.to(one.device)).all())


def refuse_unusable_weights(called: str, *models: Model) -> None:
    problems = Problems(called)
    for model in models:
        wrong = [name for name, p in model.module.named_parameters() if not bool(torch.isfinite(p).all())]
        if wrong:
            problems.add(
                f"weights of {model.name} that are NaN or infinite: {', '.join(wrong[:5])}",
                "finite weights",
                "take a checkpoint from before the training diverged",
            )
    problems.raise_if_any()
