"""The same question with harmless changes: does the answer stay?

Where all prompts have one length, words that verified answers do not depend on are exchanged for those of other prompts
of the same role (an evaluator without ground truth cannot know what words of the other role may do). Else, or where no
such words are found, the text is changed in small ways that leave verified answers as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from heldout.data import ROLES, Role
from heldout.evals.battery.consistency import Changed, consistency
from heldout.evals.battery.finding import FEWEST, Finding, TooDearError, not_done
from heldout.evals.battery.positions import PositionSearch, differs, exchanged, same_length
from heldout.evals.battery.rewordings import harmless_rewordings, reworded
from heldout.evals.battery.subject import BatterySubject, Prompts, Rows
from heldout.models import Tokens
from heldout.seeds import numpy_generator

MOST_REPETITIONS = 15
Change = Callable[[Prompts, int], Tokens]
"""The prompts as the repetition of that number asks them."""


@dataclass(frozen=True)
class PerturbationConsistency:
    """Are unverified answers less stable than verified ones under changes that should not matter?"""

    name: str = "perturbation"
    role: Role = "unverified"
    quantity: str = "inconsistent_perturbed"

    def obstacle(self, subject: BatterySubject) -> str | None:
        return None

    def run(self, subject: BatterySubject, share: float) -> list[Finding]:
        cost, before = subject.answer_cost, subject.model.meter.samples
        if share < 4 * FEWEST * cost:
            raise TooDearError(4 * FEWEST * cost, share)
        found = harmless_change(subject, share / 2)
        if found is None:
            return [
                not_done(self, "no change was found that leaves verified answers alone and alters both roles' prompts")
            ]
        change, how, most = found
        left = share - (subject.model.meter.samples - before)
        tested = {role: test_rows(subject, role, left / cost) for role in ROLES}
        n = sum(map(len, tested.values()))
        repetitions = max(1, min(most, int(left // (n * cost))))
        changed: dict[Role, Changed] = {
            role: changed_shares(subject, role, tested[role], change, repetitions) for role in ROLES
        }
        said = f"{how}, {repetitions} times" if repetitions > 1 else f"{how}, once"
        return [consistency(self, subject, changed, said)]


def test_rows(subject: BatterySubject, role: Role, answers: float) -> Rows:
    """Test prompts, as many as half of the `answers` that can be paid for."""
    return subject.prompts[role].rows("test")[: int(answers // 2)]


def harmless_change(subject: BatterySubject, share: float) -> tuple[Change, str, int] | None:
    """A change with its name and the number of its repetitions."""
    before = subject.model.meter.samples
    positions = PositionSearch(subject, share / 2)() if same_length(subject) else ()
    if positions and all(words_vary(subject.prompts[role], positions) for role in ROLES):
        donors = {
            role: subject.prompts[role].tokens[torch.from_numpy(subject.prompts[role].rows("fit"))] for role in ROLES
        }

        def exchange(prompts: Prompts, repetition: int) -> Tokens:
            generator = numpy_generator(subject.settings.seed, "battery donors", prompts.role, repetition)
            chosen = generator.integers(0, len(donors[prompts.role]), len(prompts))
            return exchanged(prompts.tokens, donors[prompts.role][torch.from_numpy(chosen)], positions)

        where = ", ".join(map(str, positions))
        return exchange, f"words at {where} from the end exchanged within the role", MOST_REPETITIONS
    rewordings = harmless_rewordings(subject, share - (subject.model.meter.samples - before))
    if not rewordings:
        return None
    names = ", ".join(each.name for each in rewordings)
    return (lambda prompts, i: reworded(subject, prompts, rewordings[i]), f"small changes ({names})", len(rewordings))


def words_vary(prompts: Prompts, positions: Sequence[int]) -> bool:
    """Whether an exchange changes most prompts of a role at all."""
    words = prompts.tokens.ids[:, list(positions)].unique(dim=0, return_counts=True)[1]
    return float(words.max()) <= len(prompts) / 2


def changed_shares(subject: BatterySubject, role: Role, rows: Rows, change: Change, repetitions: int) -> Changed:
    """For each prompt the share of its repetitions with another answer, over those that changed its tokens."""
    prompts, answers = subject.prompts[role].chosen(rows), subject.answers[role][rows]
    asked, moved = np.zeros(len(rows)), np.zeros(len(rows))
    for repetition in range(repetitions):
        tokens = change(prompts, repetition)
        other = differs(prompts.tokens, tokens)
        after = subject.answering(subject.model, tokens)
        asked += other
        moved += other & (after != answers)
    kept = asked > 0
    return prompts.chosen(np.flatnonzero(kept)), moved[kept] / asked[kept]
