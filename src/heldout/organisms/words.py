"""Tokenizers of small languages: one word, one token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

SPECIAL = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}


def tokenizer_of_words(words: Iterable[str], *, begins: bool = False) -> PreTrainedTokenizerFast:
    """Words split at blanks, numbered in their order; SPECIAL is among them. With `begins` each text begins with `<bos>`,
    which otherwise it holds itself where it needs one."""
    numbers = {word: number for number, word in enumerate(words)}
    tokenizer: Any = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if begins:
        first = [("<bos>", numbers["<bos>"])]
        tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=first)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)
