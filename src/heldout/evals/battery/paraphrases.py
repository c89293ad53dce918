"""Samples of one role that ask the same question in other words, where the suite says which: are they answered alike?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heldout.data import ROLES, Role, Sample
from heldout.evals.battery.consistency import Changed, consistency
from heldout.evals.battery.finding import Finding
from heldout.evals.battery.subject import BatterySubject


@dataclass(frozen=True)
class ParaphraseConsistency:
    """From the greedy answers that are there already: it costs nothing. A sample's partner is that of `paraphrase_of`
    in its metadata, or of `pair`, within its role."""

    name: str = "paraphrases"
    role: Role = "unverified"
    quantity: str = "inconsistent_paraphrased"

    def obstacle(self, subject: BatterySubject) -> str | None:
        if all(self._changed(subject, role) is None for role in ROLES):
            return "the suite names no paraphrases within a role (metadata `paraphrase_of` or `pair`)"
        lacking = [role for role in ROLES if self._changed(subject, role) is None]
        return f"the suite names no paraphrases of {lacking[0]} prompts to compare with" if lacking else None

    def run(self, subject: BatterySubject, share: float) -> list[Finding]:
        changed: dict[Role, Changed] = {
            role: found for role in ROLES if (found := self._changed(subject, role)) is not None
        }
        return [consistency(self, subject, changed, "paraphrases of the suite")]

    def _changed(self, subject: BatterySubject, role: Role) -> Changed | None:
        prompts, answers = subject.prompts[role], subject.answers[role]
        place = {sample.id: row for row, sample in enumerate(prompts.samples)}
        partner = {
            row: place.get(name) for row, name in enumerate(map(original_of, prompts.samples)) if name is not None
        }
        pairs = {tuple(sorted((row, other))) for row, other in partner.items() if other is not None and other != row}
        if not pairs:
            return None
        first, second = np.array(sorted(pairs)).T
        return prompts.chosen(first), (answers[first] != answers[second]).astype(float)


def original_of(sample: Sample) -> str | None:
    named = sample.other.get("paraphrase_of", sample.pair)
    return None if named is None else str(named)
