"""Where a conditional mechanism could sit: every candidate removal, tried on the select split and not on the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heldout.audits.effects import Effects, Trial, effects_of, run_trial
from heldout.audits.examination import Examination
from heldout.audits.prompts import Answers, Prompts
from heldout.audits.read import Reading
from heldout.audits.removals import Removal
from heldout.execution.result import Null, Result
from heldout.models import Site

PREFERENCE = ("early_exit", "context_exchange", "mean_difference")
"""The gentlest last. Skipping layers changes trusted answers as well; an exchange of words reaches as far as a
direction does only where a cue is written in words."""


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
        random = [effects.replaced for effects in self.random] or [0.0]
        return Result(
            technique=self.removal.name,
            quantity="screened_replacement",
            unit="fraction of prompts, chance at 0",
            effect=self.observed.replaced,
            n=len(prompts),
            nulls=(Null("random directions", sum(random) / len(random), max(random), len(random)),),
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

    Those that do what the thresholds ask for come before those that do not, then the gentler before the rougher. Of
    equals the later site wins: what is closest to the output leaves most of the computation as it was."""
    rows = examination.prompts.rows("select")
    majority = examination.subject.settings.thresholds.majority

    def screened(removal: Removal, trial: Trial) -> Screened:
        observed = effects_of(examination, readings, trial.after, rows)
        random = (effects_of(examination, readings, after, rows, observed.held_at) for after in trial.random)
        return Screened(removal, trial.after, observed, tuple(random))

    def rank(item: tuple[int, Screened]) -> tuple[bool, int, float, int]:
        place, found = item
        return (found.promise > majority, PREFERENCE.index(found.removal.name), round(found.promise, 2), place)

    found = [screened(*pair) for pair in zip(examination.removals, trials, strict=True)]
    return [each for _, each in sorted(enumerate(found), key=rank, reverse=True)]
