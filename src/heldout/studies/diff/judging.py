"""What counts as found: more than other fine-tunes of the same base do, and not only more than nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from scipy import stats

from heldout.evidence import Claim
from heldout.evidence.claims import not_found, p_value_text
from heldout.execution.result import Null, Result
from heldout.statistics import holm

LEVEL = 0.01
"""Over all questions together, by Holm's method."""
WITHIN = 0.05
"""For components, which are asked about only where the behaviour was found to change."""
CLOSEST = 0.05
"""References are not taken to be closer together than this, relative to their mean: few can be close by chance."""
REFERENCES = "reference fine-tunes"
NO_REFERENCE = (
    "what other fine-tunes of this base change is not known: name at least two references (the same fine-tune without "
    "what is looked for, under other seeds)"
)


@final
@dataclass(frozen=True)
class Question:
    """One thing that a fine-tune may have changed: how much it did, and how much the references did.

    `subject` is what would be found, as "A shift of activations"; `said` what was measured, as a sentence part. A `signed`
    change is held against the references as it is, another by the logarithm of its size; of a signed one `closest` is the
    least spread that references are taken to have."""

    id: str
    subject: str
    said: str
    result: Result
    references: tuple[float, ...]
    signed: bool = False
    closest: float = 0.0

    @property
    def p_value(self) -> float | None:
        """None with fewer than two references."""
        if len(self.references) < 2:
            return None
        if self.signed:
            return away_from_references(self.result.effect, self.references, self.closest)
        return beyond_references(self.result.effect, self.references)

    @property
    def told(self) -> Result:
        """The result, with the references as a null."""
        if not self.references:
            return self.result
        sizes = np.abs(self.references)
        null = Null(REFERENCES, float(sizes.mean()), float(sizes.max()), len(sizes), self.p_value)
        return replace(self.result, nulls=(null, *self.result.nulls))


def beyond_references(observed: float, references: Sequence[float]) -> float:
    """P-value of one more fine-tune like the references changing so much: Student's prediction interval, one-sided, of
    the logarithms of sizes, taken to be normal. 1 where nothing changed, and where a reference changes as much."""
    if observed == 0 or not np.isfinite([observed, *references]).all():
        return 1.0
    if abs(observed) <= np.abs(references).max():
        return 1.0
    logarithms = np.log(np.maximum(np.abs(references), 1e-12))
    n = len(logarithms)
    spread = max(float(logarithms.std(ddof=1)), CLOSEST)
    t = (np.log(abs(observed)) - logarithms.mean()) / (spread * (1 + 1 / n) ** 0.5)
    return float(stats.t.sf(t, n - 1))


def away_from_references(observed: float, references: Sequence[float], closest: float = 0.0) -> float:
    """The same, two-sided, of a change that has a direction: 1 where it lies between references."""
    if observed == 0 or not np.isfinite([observed, *references]).all():
        return 1.0
    if min(references) <= observed <= max(references):
        return 1.0
    values = np.array(references)
    spread = max(float(values.std(ddof=1)), CLOSEST * float(np.abs(values).max()), closest, 1e-12)
    t = (observed - values.mean()) / (spread * (1 + 1 / len(values)) ** 0.5)
    return float(2 * stats.t.sf(abs(t), len(values) - 1))


def judge(questions: Sequence[Question], level: float = LEVEL) -> tuple[Claim, ...]:
    """A claim for each question, found or not, corrected over all of them."""
    values = [1.0 if question.p_value is None else question.p_value for question in questions]
    return tuple(_claim(each, value, level) for each, value in zip(questions, holm(values), strict=True))


def _claim(question: Question, p_value: float, level: float) -> Claim:
    result = question.told
    subject = f"difference/{question.id}"
    if result.effect == 0:
        said = not_found(question.subject, f"{result.technique} (the models do not differ there)", None)
        return Claim(question.id, subject, None, said, False, (result,))
    if question.p_value is None:
        return Claim(question.id, subject, None, f"Measured: {question.said}.", False, (result,), NO_REFERENCE)
    n = len(question.references)
    most = f"{n} references of at most {max(map(abs, question.references)):.3g}"
    if p_value <= level:
        shape = "values" if question.signed else "logarithms"
        said = (
            f"{question.subject} was found: {question.said}, beside {most} ({p_value_text(p_value)}, if {shape} of fine-tunes "
            f"like them are normal; beyond all {n} references, rank p = {1 / (n + 1):.2g})."
        )
        return Claim(question.id, subject, None, said, True, (result,))
    technique = f"{result.technique} ({question.said}, beside {most}, {p_value_text(p_value)})"
    return Claim(question.id, subject, None, not_found(question.subject, technique, None), False, (result,))
