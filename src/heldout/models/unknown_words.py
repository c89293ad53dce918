"""Texts in words that a tokenizer does not have: all of them look alike to the model, and nothing warns of it."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.errors import InputError, Problem
from heldout.models.model import Model

MOST = 0.1
"""The share of texts with unknown words from which on a model is not read on them."""


def unknown_words(model: Model, texts: Sequence[str]) -> Problem | None:
    """Where more than MOST of the texts have words that the tokenizer replaces by its unknown token. A tokenizer whose
    unknown token stands for something else as well, as that of GPT-2 does, knows all words."""
    tokenizer = model.tokenizer
    unknown = tokenizer.unk_token_id
    if unknown is None or unknown in (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id):
        return None
    having = (model.tokenize(texts).ids == unknown).any(dim=1).nonzero().flatten().tolist()
    if len(having) <= MOST * len(texts):
        return None
    found = f"{len(having)} of {len(texts)} texts with words that {model.name} has no tokens for: {texts[having[0]]!r}"
    next_step = "name texts in the words that the model was trained on, such as those of its own suite"
    return Problem(found, "texts that the tokenizer can tell apart", next_step)


def refuse_unknown_words(called: str, model: Model, texts: Sequence[str]) -> None:
    """Raises InputError for what `unknown_words` finds."""
    problem = unknown_words(model, texts)
    if problem is not None:
        raise InputError(called, problem)
