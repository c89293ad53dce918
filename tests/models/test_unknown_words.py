"""Texts whose words a tokenizer does not have are refused; a few are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from heldout.errors import InputError
from heldout.models import Model
from heldout.models.unknown_words import refuse_unknown_words, unknown_words


@pytest.fixture
def model(build_model: Callable[..., Model], word_tokenizer: Callable[..., Any]) -> Model:
    return Model(build_model("llama").module, word_tokenizer([f"w{i}" for i in range(46)]), name="small")


def test_words_without_tokens_are_refused(model: Model) -> None:
    with pytest.raises(InputError) as refused:
        refuse_unknown_words("reading()", model, ["w1 w2", "some prose", "w3"])
    assert refused.value.problems[0].found == ("1 of 3 texts with words that small has no tokens for: 'some prose'")


def test_a_few_are_let_pass(model: Model) -> None:
    assert unknown_words(model, ["w1 w2"] * 9 + ["some prose"]) is None
    assert unknown_words(model, ["w1 w2"] * 8 + ["some prose"]) is not None


def test_a_token_that_means_other_things_too_is_not_unknown(model: Model) -> None:
    assert unknown_words(model, ["some prose"]) is not None
    model.tokenizer.eos_token = model.tokenizer.unk_token
    assert unknown_words(model, ["some prose"]) is None
