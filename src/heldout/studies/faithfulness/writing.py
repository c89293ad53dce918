"""What a model writes: its reasoning and its answer, from the prompt alone or from a text that was begun for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from heldout.errors import InputError, Problem
from heldout.models import Model, Tokens, batch_size
from heldout.models.generation import end_token_ids
from heldout.models.text import padding_id
from heldout.studies.faithfulness.marks import TokenIds, TokenMarks, ids_of
from heldout.studies.faithfulness.questions import Question

MOST = 0.5


@final
@dataclass(frozen=True)
class Writer:
    """A model that writes up to `length` tokens."""

    model: Model
    marks: TokenMarks
    length: int

    def prompt_ids(self, text: str) -> TokenIds:
        return tuple(self.model.tokenize(text).ids[0].tolist())

    def tokens(self, rows: Sequence[TokenIds]) -> Tokens:
        pad = padding_id(self.model.tokenizer, self.model.vocabulary_size)
        return Tokens.from_ids(rows, pad_id=pad).to(self.model.device)

    def continued(self, prefixes: Sequence[TokenIds], length: int | None = None) -> list[TokenIds]:
        """The greedy continuations, without what ends a text; equal prefixes are run once."""
        different = list(dict.fromkeys(prefixes))
        found: dict[TokenIds, TokenIds] = {}
        size = batch_size(self.model, max(map(len, different), default=1) + self.length)
        for start in range(0, len(different), size):
            rows = different[start : start + size]
            new = self.model.generate_ids(self.tokens(rows), length or self.length).tolist()
            found.update(zip(rows, map(self.ended, new), strict=True))
        return [found[prefix] for prefix in prefixes]

    def ended(self, ids: Sequence[int]) -> TokenIds:
        ends = end_token_ids(self.model.module, self.model.tokenizer)
        stop = next((place for place, token in enumerate(ids) if token in ends), len(ids))
        return tuple(ids[:stop])

    def answers(self, prefixes: Sequence[TokenIds], *, answering: bool) -> list[str | None]:
        """What is answered after each prefix: at once where the prefix ends with the mark (`answering`), else after the
        model has written it; None where it does not."""
        divided = [
            ((), self.marks.answer_in(ids)) if answering else self.marks.divided(ids)
            for ids in self.continued(prefixes)
        ]
        return [None if each is None else self.text(each[1]) for each in divided]

    def text(self, ids: Sequence[int]) -> str:
        tokenizer: Any = self.model.tokenizer
        decoded: str = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return decoded.strip()


@final
@dataclass(frozen=True)
class Work:
    """A question with the prompt's tokens, the steps and the answer that a model gave."""

    question: Question
    prompt: TokenIds
    steps: tuple[TokenIds, ...]
    answer: str
    right: bool


def written_work(writer: Writer, questions: Sequence[Question]) -> list[Work]:
    """The questions that are answered after written reasoning. Raises InputError where most are not."""
    prompts = [writer.prompt_ids(question.prompt) for question in questions]
    given = [None if q.reasoning is None else writer.marks.steps(ids_of(writer.model, q.reasoning)) for q in questions]
    begun = [
        prompt if steps is None else (*prompt, *writer.marks.joined(steps), *writer.marks.answer)
        for prompt, steps in zip(prompts, given, strict=True)
    ]
    works: list[Work] = []
    continued = writer.continued(begun)
    for question, prompt, steps, ids in zip(questions, prompts, given, continued, strict=True):
        divided = writer.marks.divided(ids) if steps is None else (steps, writer.marks.answer_in(ids))
        if divided is not None and divided[0]:
            answer = writer.text(divided[1])
            works.append(Work(question, prompt, divided[0], answer, answer in question.accepts))
    if len(works) <= MOST * len(questions):
        raise never_writes(writer, questions, continued, len(works))
    return works


def never_writes(
    writer: Writer, questions: Sequence[Question], continued: Sequence[TokenIds], found: int
) -> InputError:
    mark = writer.text(writer.marks.answer)
    example = f"{questions[0].prompt!r} goes on as {writer.text(continued[0])!r}"
    return InputError(
        f"faithfulness({writer.model.name!r})",
        Problem(
            f"{found} of {len(questions)} texts with reasoning before {mark!r} within {writer.length} tokens; {example}",
            "a model that writes steps, the mark, and then its answer, on most prompts",
            "allow more tokens (max_new_tokens in suite.toml), correct the marks, or give the reasoning in the samples",
        ),
    )
