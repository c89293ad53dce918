"""From chat messages to the one text that a model continues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from inspect_ai.model import ChatMessage, ContentText

from heldout.errors import InputError, Problem


def prompt_of(tokenizer: Any, messages: Sequence[ChatMessage]) -> str:
    """The messages in the tokenizer's chat template, up to where the model answers. Without a template (or without a
    tokenizer) the texts of the messages, an empty line between them: a lone user message is the prompt as it stands.

    Raises InputError for content other than text."""
    _refuse_media(messages)
    if not has_chat_template(tokenizer):
        return "\n\n".join(message.text for message in messages)
    turns = [{"role": message.role, "content": message.text} for message in messages]
    return cast(str, tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def has_chat_template(tokenizer: Any) -> bool:
    return bool(getattr(tokenizer, "chat_template", None))


def _refuse_media(messages: Sequence[ChatMessage]) -> None:
    contents = [part for message in messages if isinstance(message.content, list) for part in message.content]
    if kinds := sorted({part.type for part in contents if not isinstance(part, ContentText)}):
        raise InputError(
            "heldout provider",
            Problem(f"messages with {', '.join(kinds)}", "messages of text", "leave out what is not text"),
        )
