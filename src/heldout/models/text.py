"""From prompts to tokens, and from an answer to the one token that stands for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from heldout.errors import InputError, Problem, Problems
from heldout.models.tokens import Tokens


def tokenize(tokenizer: Any, prompts: Sequence[str], *, vocabulary_size: int) -> Tokens:
    """Left-padded tokens of the prompts. A prompt that begins with the text of the beginning-of-sequence token gets no
    second one. Raises InputError naming every prompt without tokens or with ids that the model has no embedding for."""
    problems = Problems(f"Model.tokenize({len(prompts)} prompts)")
    rows: list[list[int]] = tokenizer(list(prompts), add_special_tokens=True)["input_ids"] if prompts else []
    begin, begin_text = tokenizer.bos_token_id, tokenizer.bos_token
    if begin is not None:
        rows = [
            row[1:] if prompt.startswith(begin_text) and row[:2] == [begin, begin] else row
            for prompt, row in zip(prompts, rows, strict=True)
        ]
    if not rows:
        problems.add("no prompts", "at least one", "pass a list of prompts")
    for number, (prompt, row) in enumerate(zip(prompts, rows, strict=True)):
        if not row:
            problems.add(f"prompt {number}, {prompt!r}, gives no token", "at least one token", "give it some text")
        elif max(row) >= vocabulary_size:
            problems.add(
                f"prompt {number}, {prompt[:80]!r}, has token id {max(row)}",
                f"ids below {vocabulary_size}, the rows of the embedding",
                "leave that token out, or load the model with its own tokenizer",
            )
    problems.raise_if_any()
    return Tokens.from_ids(rows, pad_id=padding_id(tokenizer, vocabulary_size))


def padding_id(tokenizer: Any, vocabulary_size: int) -> int:
    """An id to pad with. Padding is masked, so any id that has an embedding will do."""
    candidates = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((int(i) for i in candidates if i is not None and 0 <= i < vocabulary_size), 0)


def answer_token(tokenizer: Any, answer: str) -> int:
    """The id of the one token that is the answer: the vocabulary entry spelt exactly so, else the answer as it
    continues a text. Raises InputError if it is not one token."""
    unknown = tokenizer.unk_token_id
    exact = tokenizer.convert_tokens_to_ids(answer)
    if exact is not None and (exact != unknown or answer == tokenizer.unk_token):
        return int(exact)
    tried: list[list[str]] = []
    for text in (answer, " " + answer):
        ids = tokenizer.encode(text, add_special_tokens=False)
        if len(ids) == 1 and ids[0] != unknown:
            return int(ids[0])
        tried.append(tokenizer.convert_ids_to_tokens(ids))
    raise InputError(
        f"Model.answer_token({answer!r})",
        Problem(
            f"the tokens {tried[0]} for {answer!r} and {tried[1]} for {' ' + answer!r}",
            "an answer that is one known token",
            "choose answers of one token, or a suite with answer = 'tokens'",
        ),
    )
