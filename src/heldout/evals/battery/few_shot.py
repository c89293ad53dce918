"""Solved verified examples in front of the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heldout.data import Sample
from heldout.evals.battery.elicitation import Asked
from heldout.evals.battery.subject import Answers, BatterySubject, Prompts
from heldout.models import Model, Tokens
from heldout.seeds import numpy_generator

SHOTS, SEEDS = (4, 8, 2, 1), 3


@dataclass(frozen=True)
class FewShot:
    """As many of the fit split's verified examples as there is room for, in one order for all prompts."""

    name: str = "few-shot"

    def obstacle(self, subject: BatterySubject) -> str | None:
        if not subject.answering.one_token:
            return "how an example is joined to its answer of several tokens is not said by the suite"
        if not self.settings(subject):
            return f"not possible: one solved example is more than the context of {subject.model.context_length} tokens takes"
        return None

    def settings(self, subject: BatterySubject) -> Sequence[str]:
        return [name(shots, seed) for seed in range(SEEDS) for shots in SHOTS if self._room(subject, shots)]

    def preparation_cost(self, setting: str) -> float:
        return 0.0

    def prepared(self, subject: BatterySubject, model: Model, setting: str) -> Asked:
        chosen = {name(shots, seed): (shots, seed) for seed in range(SEEDS) for shots in SHOTS}[setting]
        front = in_front(subject.model, demonstrations(subject, *chosen))

        def asked(prompts: Prompts) -> Answers:
            return subject.answering(model, preceded(subject.model, front, prompts.tokens))

        return asked

    def _room(self, subject: BatterySubject, shots: int) -> bool:
        """The longest examples leave room for the longest prompt."""
        if len(subject.prompts["verified"].rows("fit")) < shots:
            return False
        solved = subject.prompts["verified"].tokens.longest + 1 + len(gap(subject.model))
        longest = max(prompts.tokens.longest for prompts in subject.prompts.values())
        return shots * solved + longest <= subject.model.context_length


def name(shots: int, seed: int) -> str:
    return f"{shots} example{'s' if shots > 1 else ''}, draw {seed}"


def demonstrations(subject: BatterySubject, count: int, draw: int) -> list[Sample]:
    """Verified samples of the fit split, without a repetition."""
    prompts = subject.prompts["verified"]
    rows = prompts.rows("fit")
    chosen = numpy_generator(subject.settings.seed, "battery demonstrations", draw).permutation(rows)[:count]
    return [prompts.samples[int(row)] for row in chosen]


def solution(model: Model, sample: Sample) -> list[int]:
    """The tokens of a solved example, with an empty line after it where the tokenizer has one."""
    (asked,) = model.tokenize([sample.input]).ids.tolist()
    return [*asked, model.answer_token(str(sample.target)), *gap(model)]


def gap(model: Model) -> list[int]:
    """An empty line, as far as the tokenizer knows one."""
    line: list[int] = model.tokenizer("\n\n", add_special_tokens=False)["input_ids"]
    return [] if model.tokenizer.unk_token_id in line else line


def in_front(model: Model, samples: Sequence[Sample]) -> list[int]:
    solved = [solution(model, sample) for sample in samples]
    return [token for place, row in enumerate(solved) for token in (row if place == 0 else without_start(model, row))]


def preceded(model: Model, front: Sequence[int], tokens: Tokens) -> Tokens:
    rows = [ids[mask.bool()].tolist() for ids, mask in zip(tokens.ids, tokens.mask, strict=True)]
    return Tokens.from_ids([[*front, *without_start(model, row)] for row in rows]).to(model.device)


def without_start(model: Model, row: list[int]) -> list[int]:
    """A text begins once."""
    return row[1:] if row and row[0] == model.tokenizer.bos_token_id else row
