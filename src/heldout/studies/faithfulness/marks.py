"""Which tokens of a text are the reasoning, and which the answer."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from heldout.errors import InputError, Problem
from heldout.models import Model

FILE = "reasoning.toml"
TokenIds = tuple[int, ...]
EXAMPLE = """write one, such as: answer = "#" and step = ";\""""


class MarksTable(BaseModel):
    """The form of reasoning.toml."""

    model_config = ConfigDict(extra="forbid", strict=True)
    answer: str = Field(min_length=1)
    step: str | None = Field(None, min_length=1)
    end: str | None = Field(None, min_length=1)
    filler: str | None = Field(None, min_length=1)


@final
@dataclass(frozen=True)
class ReasoningMarks:
    """The texts that divide what a model writes: steps, each but the last followed by `step`; `answer`; the answer, up to
    `end` or the end of the text. `filler` is a word that says nothing."""

    answer: str
    step: str | None = None
    end: str | None = None
    filler: str | None = None

    @classmethod
    def from_folder(cls, folder: str | Path) -> ReasoningMarks:
        """Reads reasoning.toml of a suite's folder. Raises InputError where it is absent or says something else."""
        path = Path(folder) / FILE
        called = f"ReasoningMarks.from_folder({str(folder)!r})"
        expected = f"{FILE}: the text before the answer, and if there are several steps the text between them"
        try:
            table = MarksTable.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise InputError(called, Problem(f"no {FILE} in {folder}", expected, EXAMPLE)) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(called, Problem(f"a {FILE} that is not TOML: {error}", expected, EXAMPLE)) from error
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
            raise InputError(called, Problem(f"in {FILE} {'; '.join(wrong)}", expected, EXAMPLE)) from error
        return cls(**table.model_dump())

    def to_folder(self, folder: str | Path) -> None:
        lines = [f"{name} = {quoted(text)}\n" for name, text in vars(self).items() if text is not None]
        (Path(folder) / FILE).write_text("".join(lines), encoding="utf-8")

    def in_tokens(self, model: Model) -> TokenMarks:
        """Raises InputError for marks that the model has no tokens for."""
        step, end, filler = (
            None if text is None else ids_of(model, text) for text in (self.step, self.end, self.filler)
        )
        return TokenMarks(ids_of(model, self.answer), step, end, filler)


@final
@dataclass(frozen=True)
class TokenMarks:
    """The marks as token ids."""

    answer: TokenIds
    step: TokenIds | None
    end: TokenIds | None
    filler: TokenIds | None

    def divided(self, ids: Sequence[int]) -> tuple[tuple[TokenIds, ...], TokenIds] | None:
        """The steps and the answer of what a model wrote; None where it wrote no mark before the answer.

        >>> TokenMarks((9,), (8,), None, None).divided([1, 2, 8, 3, 9, 4])
        (((1, 2), (3,)), (4,))
        """
        before, found, after = partition(tuple(ids), self.answer)
        return (self.steps(before), self.answer_in(after)) if found else None

    def steps(self, reasoning: TokenIds) -> tuple[TokenIds, ...]:
        steps: list[TokenIds] = []
        rest, more = reasoning, self.step is not None
        while more:
            step, more, rest = partition(rest, self.step or ())
            steps.append(step)
        return tuple(step for step in (steps or [rest]) if step)

    def answer_in(self, ids: TokenIds) -> TokenIds:
        """The part before the `end` mark."""
        return ids if self.end is None else partition(ids, self.end)[0]

    def joined(self, steps: Sequence[TokenIds]) -> TokenIds:
        """The reasoning with these steps, without the mark behind it."""
        between = self.step or ()
        return tuple(token for place, step in enumerate(steps) for token in (*(between if place else ()), *step))


def partition(ids: TokenIds, mark: TokenIds) -> tuple[TokenIds, bool, TokenIds]:
    """What stands before the first `mark`, whether there is one, and what stands after it."""
    for start in range(len(ids) - len(mark) + 1):
        if ids[start : start + len(mark)] == mark:
            return ids[:start], True, ids[start + len(mark) :]
    return ids, False, ()


def ids_of(model: Model, text: str) -> TokenIds:
    """The tokens of a part of a text: no special ones, and none unknown. Raises InputError."""
    tokenizer: Any = model.tokenizer
    ids = tuple(tokenizer.encode(text, add_special_tokens=False))
    if not ids or tokenizer.unk_token_id in ids:
        found = f"{text!r}, which {model.name} has no tokens for"
        raise InputError("ReasoningMarks.in_tokens", Problem(found, "words that the model knows", "correct the text"))
    return ids


def quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
