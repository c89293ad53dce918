"""Where a conditional mechanism could sit: every candidate removal, tried on the select split and not on the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heldout.audits.effects import Effects, Trial, effects_of, run_trial
from heldout.audits.examination import Examination
from heldout.audits.prompts import Answers, Prompts
from heldout.audits.read import Reading
from heldout.audits.removals import Removal, counterpart
from heldout.execution.result import Null, Result
from heldout.models import Site

PREFERENCE = ("early exit", "exchange of context", "mean difference")
"""The gentlest last. Skipping layers changes trusted answers as well; an exchange of words reaches as far as a
direction does only where a cue is written in words."""


CLOSE = 0.1
"""Promises on the select split that differ by less are not told apart."""


@dataclass(frozen=True, eq=False)
class Screened:
    """One removal on the select split, beside random directions of its size."""

    removal: Removal
    after: Answers
    observed: Effects
    random: tuple[Effects, ...]

    @property
    def held_at(self) -> Site:
        """Where the untouched run most often holds the answer that the removal brings out."""
        return self.observed.held_at

    @property
    def promise(self) -> float:
        """How far it beats the best random direction, in whichever of the two effects it does so more."""
        replaced = self.observed.replaced - max((effects.replaced for effects in self.random), default=0.0)
        restored = self.observed.restored - max((effects.restored for effects in self.random), default=0.0)
        return max(replaced, restored)

    def result(self, prompts: Prompts) -> Result:
        random = [effects.replaced for effects in self.random]
        name = counterpart(self.removal)
        nulls = (Null(name, sum(random) / len(random), max(random), len(random)),) if random else ()
        return Result(
            technique=self.removal.name,
            quantity="screened_replacement",
            unit="fraction of prompts, chance at 0",
            effect=self.observed.replaced,
            n=len(prompts),
            nulls=nulls,
            site=str(self.removal.site),
            layer=self.removal.site.layer,
            role=prompts.role,
            split="select",
            settings={"intervention": self.removal.name, "restored": self.observed.restored, "promise": self.promise},
        )


def screening_trials(examination: Examination) -> list[Trial]:
    """Every candidate removal on the select split, in the order of `examination.removals`."""
    settings, rows = examination.subject.settings, examination.prompts.rows("select")
    return [
        run_trial(examination, removal, rows, settings.screening_directions, settings.seed)
        for removal in examination.removals
    ]


def locate(examination: Examination, readings: Mapping[Site, Reading], trials: Sequence[Trial]) -> list[Screened]:
    """Ranks the removals; the one to test comes first.

    Those that do what the thresholds ask for come before those that do not, and what skips layers after what does not. Among
    those within `CLOSE` of the most promising the gentlest comes first, and of equals the later site: what is closest to the
    output leaves most of the computation as it was."""
    rows = examination.prompts.rows("select")
    majority = examination.subject.settings.thresholds.majority

    def screened(removal: Removal, trial: Trial) -> Screened:
        observed = effects_of(examination, readings, trial.after, rows)
        random = (effects_of(examination, readings, after, rows, observed.held_at) for after in trial.random)
        return Screened(removal, trial.after, observed, tuple(random))

    def tier(found: Screened) -> tuple[bool, bool]:
        return (found.promise > majority, found.removal.name != "early exit")

    found = [screened(*pair) for pair in zip(examination.removals, trials, strict=True)]
    highest = max(map(tier, found))
    most = max(each.promise for each in found if tier(each) == highest)

    def rank(item: tuple[int, Screened]) -> tuple[tuple[bool, bool], bool, int, float, int]:
        place, each = item
        close = tier(each) == highest and each.promise >= most - CLOSE
        return (tier(each), close, PREFERENCE.index(each.removal.name) if close else 0, round(each.promise, 2), place)

    return [each for _, each in sorted(enumerate(found), key=rank, reverse=True)]
