"""Cue contrasts: the same question under a cue of the other role, where the suite names cues that stand in its prompts.

What a cue changes may be a lie, or what the cue legitimately asks for: outputs alone do not tell which.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heldout.data import Role, Sample
from heldout.evals.battery.finding import FEWEST, Finding, Scores, TooDearError
from heldout.evals.battery.subject import Answers, BatterySubject, Prompts
from heldout.evidence.battery import EvalRecord
from heldout.models import Tokens
from heldout.seeds import numpy_generator
from heldout.statistics import paired_gain_p_value

MOST_CUES = 8


@dataclass(frozen=True)
class CueContrast:
    """Prompts of `role` with a cue of the other role, and with another one of their own role to compare with.

    Verified prompts are graded by their targets: do right answers become wrong, or wrong ones right? Of unverified ones it
    is told how many answers change, which is no test."""

    role: Role
    name: str = "cue contrast"

    @property
    def quantity(self) -> str:
        return "turned_wrong_by_cue" if self.role == "verified" else "changed_by_cue"

    def obstacle(self, subject: BatterySubject) -> str | None:
        own, other = cues_by_role(subject, self.role)
        if not own or not other:
            return "the suite names no cues that stand in the prompts of both roles and differ between them"
        rows = self._rows(subject)
        return f"{len(rows)} prompts name such a cue, and {FEWEST} are needed" if len(rows) < FEWEST else None

    def run(self, subject: BatterySubject, share: float) -> list[Finding]:
        cost = subject.answer_cost
        if share < 2 * FEWEST * cost:
            raise TooDearError(2 * FEWEST * cost, share)
        rows = self._rows(subject)[: int(share // (2 * cost))]
        prompts, answers = subject.prompts[self.role].chosen(rows), subject.answers[self.role][rows]
        own, other = cues_by_role(subject, self.role)
        across = self._answers(subject, prompts, other)
        within = self._answers(subject, prompts, own)
        scores = (
            *scored(prompts, across, "a cue of the other role"),
            *scored(prompts, within, "another cue of the same role"),
        )
        if self.role == "unverified":
            return [self._changes(prompts, answers, across, within, scores)]
        right = prompts.accepts(answers)
        wronged = [right & ~prompts.accepts(after) for after in (across, within)]
        righted = [~right & prompts.accepts(after) for after in (across, within)]
        return [
            self._turned("turned_wrong_by_cue", right, wronged, scores),
            self._turned("turned_right_by_cue", ~right, righted, ()),
        ]

    def _rows(self, subject: BatterySubject) -> np.ndarray:
        """Test prompts with a cue of theirs in the text, that stay short enough whatever cue they get."""
        prompts = subject.prompts[self.role]
        own, other = cues_by_role(subject, self.role)
        named = [row for row in prompts.rows("test").tolist() if names_its_cue(prompts.samples[row])]
        longest = subject.model.context_length - subject.answer_cost + 1
        kept = np.ones(len(named), dtype=bool)
        for cue in (*own, *other) if named else ():
            texts = [with_cue(prompts.samples[row], cue) for row in named]
            kept &= subject.model.tokenize(texts).mask.sum(dim=1).cpu().numpy() <= longest
        return np.array(named, dtype=np.int64)[kept]

    def _answers(self, subject: BatterySubject, prompts: Prompts, cues: Sequence[str]) -> Answers:
        """With a cue drawn for each prompt among `cues`, its own left out where there is another."""
        generator = numpy_generator(subject.settings.seed, "battery cues", self.role, *cues)
        texts: list[str] = []
        for sample in prompts.samples:
            others = [cue for cue in cues if cue != sample.cue] or list(cues)
            texts.append(with_cue(sample, others[int(generator.integers(len(others)))]))
        tokens: Tokens = subject.model.tokenize(texts)
        return subject.answering(subject.model, tokens)

    def _turned(
        self, quantity: str, before: np.ndarray, turned: Sequence[np.ndarray], scores: tuple[Scores, ...]
    ) -> Finding:
        n = int(before.sum())
        what = "right" if quantity == "turned_wrong_by_cue" else "wrong"
        if n < FEWEST:
            why = f"not done: {n} answers to verified prompts were {what} before, and {FEWEST} are needed"
            return Finding(EvalRecord(self.name, self.role, quantity, note=why), scores=scores)
        across, within = turned
        record = EvalRecord(
            name=self.name,
            role=self.role,
            quantity=quantity,
            effect=float(across.sum() / n),
            reference=float(within.sum() / n),
            n=n,
            p_value=paired_gain_p_value(int((across & ~within).sum()), int((within & ~across).sum())),
            note=f"verified questions, answered {what} before, under a cue of the other role",
            compared_with="another cue of the same role",
        )
        return Finding(record, True, scores)

    def _changes(
        self, prompts: Prompts, before: Answers, across: Answers, within: Answers,
        scores: tuple[Scores, ...],
    ) -> Finding:  # fmt: skip
        rates = [float(prompts.accepts(answers).mean()) for answers in (before, across)]
        record = EvalRecord(
            name=self.name,
            role=self.role,
            quantity=self.quantity,
            effect=float((across != before).mean()),
            reference=float((within != before).mean()),
            n=len(prompts),
            note=f"accepted before {rates[0]:.2f}, under a verified cue {rates[1]:.2f}; not a test",
            compared_with="another cue of the same role",
        )
        return Finding(record, scores=scores)


def cues_by_role(subject: BatterySubject, role: Role) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Cues that stand in the prompts of `role`, and those of the other role that `role` never has."""
    found = {
        each: tuple(sorted({str(sample.cue) for sample in prompts.samples if names_its_cue(sample)}))
        for each, prompts in subject.prompts.items()
    }
    other: Role = "verified" if role == "unverified" else "unverified"
    foreign = tuple(cue for cue in found[other] if cue not in found[role])
    return found[role][:MOST_CUES], foreign[:MOST_CUES]


def names_its_cue(sample: Sample) -> bool:
    return bool(sample.cue) and re.search(cue_pattern(str(sample.cue)), sample.input) is not None


def with_cue(sample: Sample, cue: str) -> str:
    return re.sub(cue_pattern(str(sample.cue)), lambda _: cue, sample.input)


def cue_pattern(cue: str) -> str:
    """The cue where it stands as words of its own."""
    return rf"(?<!\w){re.escape(cue)}(?!\w)"


def scored(prompts: Prompts, answers: Answers, direction: str) -> tuple[Scores, ...]:
    accepted = prompts.accepts(answers).astype(float)
    return (Scores(prompts, "answer_under_cue", "cue contrast", accepted, answers, direction),)
