"""The chosen removal on the test split: what it does to examined prompts, what random ones do, and the reverse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from heldout.audits.effects import Effects, Rows, Trial, effects_of, run_trial
from heldout.audits.examination import Examination
from heldout.audits.judge import beats_all
from heldout.audits.locate import Screened
from heldout.audits.read import Reading, agreement
from heldout.audits.removals import DifferenceRemoval, Removal, counterpart
from heldout.audits.transplant import Transplanted
from heldout.execution.result import Null, Result
from heldout.models import Site
from heldout.statistics import proportion_interval

CHARTED_SITES = 12
"""Sites at which the removal is repeated for the report, at most; the verdict rests on the chosen one."""


INJECTED_DIRECTIONS = 5
"""Random directions put into trusted prompts, for the report: no verdict rests on the injection."""


@dataclass(frozen=True, eq=False)
class FinalTrials:
    """Trials on the test split: of the chosen removal, of the difference put into trusted prompts (share of answers
    changed; None where there is no difference or no trusted role), and of the removal at other sites by its place in
    the candidates."""

    chosen: Trial
    injected: float | None
    injected_random: tuple[float, ...]
    elsewhere: Mapping[int, Trial]

    def by_removal(self, examination: Examination, chosen: Removal) -> list[tuple[Removal, Trial]]:
        """Every trial with its removal, the chosen one first."""
        others = [(examination.removals[place], trial) for place, trial in self.elsewhere.items()]
        return [(chosen, self.chosen), *others]


def run_final_trials(examination: Examination, chosen: Removal) -> FinalTrials:
    settings, rows = examination.subject.settings, examination.prompts.rows("test")
    trial = run_trial(examination, chosen, rows, settings.random_directions, settings.seed + 1)
    injected, injected_random = None, ()
    if examination.trusted_role is not None and isinstance(chosen, DifferenceRemoval):
        injected, injected_random = inject(examination, chosen)
    others = [
        place
        for place, removal in enumerate(examination.removals)
        if isinstance(removal, DifferenceRemoval) and removal.site != chosen.site
    ]
    elsewhere = {
        place: run_trial(
            examination, examination.removals[place], rows, settings.screening_directions, settings.seed + 3
        )
        for place in others[:: max(1, -(-len(others) // CHARTED_SITES))]
    }
    return FinalTrials(trial, injected, injected_random, elsewhere)


def inject(examination: Examination, removal: DifferenceRemoval) -> tuple[float, tuple[float, ...]]:
    """The share of trusted test answers that the difference changes when it is put in, and that random ones change."""
    rows = examination.data.trusted.rows("test")
    trusted, before = examination.data.trusted.chosen(rows), examination.data.labels[rows]
    model, answering, settings = examination.model, examination.subject.answering, examination.subject.settings

    def changed(each: DifferenceRemoval) -> float:
        with model.intervene(each.difference.injection(trusted.tokens.length)):
            return 1.0 - agreement(answering(model, trusted.tokens), before)

    few = range(INJECTED_DIRECTIONS)
    return changed(removal), tuple(changed(removal.random_like(settings.seed + 2, index)) for index in few)


@dataclass(frozen=True, eq=False)
class Intervened:
    """Effects on the test split of the chosen removal and of its random counterparts, with the trials they come from,
    and what became of the examined streams in trusted runs (None without a trusted role)."""

    removal: Removal
    trials: FinalTrials
    transplanted: Transplanted | None
    observed: Effects
    random: tuple[Effects, ...]

    @property
    def n(self) -> int:
        return len(self.trials.chosen.after)

    @property
    def changed(self) -> Rows:
        """The items whose answer the removal changes."""
        return np.flatnonzero(self.observed.replacement.changed)

    @property
    def random_restored(self) -> list[float]:
        return [effects.restored for effects in self.random]

    @property
    def random_replaced(self) -> list[float]:
        """Before chance is taken off: changed into another acceptable answer."""
        return [effects.replacement.successes / self.n for effects in self.random]


def intervene(
    examination: Examination,
    readings: Mapping[Site, Reading],
    chosen: Screened,
    trials: FinalTrials,
    transplanted: Transplanted | None,
) -> Intervened:
    """Measures the trials. Where the untouched run holds the answer was fixed on the select split."""
    rows, permutations = examination.prompts.rows("test"), examination.subject.settings.permutations
    observed = effects_of(examination, readings, trials.chosen.after, rows, chosen.held_at, permutations)
    random = (effects_of(examination, readings, after, rows, chosen.held_at) for after in trials.chosen.random)
    return Intervened(chosen.removal, trials, transplanted, observed, tuple(random))


def intervention_results(examination: Examination, readings: Mapping[Site, Reading], found: Intervened) -> list[Result]:
    """The chosen removal, the injection, and the same removal at other sites for comparison."""
    results = [
        removal_result(examination, found.removal, found.observed, found.random, "restoration"),
        removal_result(examination, found.removal, found.observed, found.random, "replacement"),
    ]
    if found.trials.injected is not None:
        results.append(injection_result(examination, found, found.trials.injected))
    if found.transplanted is not None and len(found.changed):
        results.append(transplant_result(examination, found, found.transplanted))
    rows = examination.prompts.rows("test")
    for place, trial in found.trials.elsewhere.items():
        observed = effects_of(examination, readings, trial.after, rows, found.observed.held_at)
        random = [effects_of(examination, readings, after, rows, found.observed.held_at) for after in trial.random]
        results.append(removal_result(examination, examination.removals[place], observed, random, "restoration"))
    return results


def removal_result(
    examination: Examination, removal: Removal, observed: Effects, random: Sequence[Effects], quantity: str
) -> Result:
    """`restoration` or `replacement` (see `Effects`), against random directions."""
    found, n = observed.replacement, len(observed.replacement.changed)
    if quantity == "restoration":
        effect, draws, unit = observed.restored, [each.restored for each in random], "fraction of prompts"
        p_value = beats_all(round(effect * n), n, draws, drawn=True)
    else:
        effect, draws, unit = observed.replaced, [each.replaced for each in random], "fraction of prompts, chance at 0"
        p_value = beats_all(found.successes, n, [each.replacement.successes / n for each in random], drawn=True)
    nulls = (Null(counterpart(removal), float(np.mean(draws)), max(draws), len(draws), p_value),) if draws else ()
    return Result(
        technique=removal.name,
        quantity=quantity,
        unit=unit,
        effect=effect,
        interval=proportion_interval(round(max(0.0, effect) * n), n),
        n=n,
        nulls=nulls,
        site=str(removal.site),
        layer=removal.site.layer,
        role=examination.role,
        split="test",
        settings={
            "intervention": removal.name,
            "held_at": str(observed.held_at),
            "changed": found.changed_share,
            "acceptable_among_changed": found.acceptable_share,
            "acceptable_by_chance": found.chance,
            "random_effects": list(draws),
        },
    )


def injection_result(examination: Examination, found: Intervened, effect: float) -> Result:
    draws = list(found.trials.injected_random)
    n = len(examination.data.trusted.rows("test"))
    p_value = beats_all(round(effect * n), n, draws, drawn=True)
    return Result(
        technique=found.removal.name,
        quantity="injection",
        unit="fraction of prompts whose answer changes",
        effect=effect,
        interval=proportion_interval(round(effect * n), n),
        n=n,
        nulls=(Null("random directions", float(np.mean(draws)), max(draws), len(draws), p_value),),
        site=str(found.removal.site),
        layer=found.removal.site.layer,
        role=examination.trusted_role,
        split="test",
        settings={"intervention": found.removal.name, "random_effects": draws},
    )


def transplant_result(examination: Examination, found: Intervened, moved: Transplanted) -> Result:
    """How often the untouched run's last position, put into a trusted run, brings out the restored answer there."""
    after, n, settings = found.trials.chosen.after, len(found.changed), examination.subject.settings
    successes = moved.successes(after, found.changed)
    draws = moved.other_items(after, found.changed, settings.permutations, settings.seed)
    return Result(
        technique="interchange of the last position",
        quantity="answer_transplanted",
        unit="fraction of prompts",
        effect=successes / n if n else 0.0,
        interval=proportion_interval(successes, n),
        n=n,
        nulls=(
            Null(
                "streams of other items",
                float(np.mean(draws)),
                max(draws),
                len(draws),
                beats_all(successes, n, draws, drawn=True),
            ),
        ),
        site=str(moved.site),
        layer=moved.site.layer,
        position=-1,
        role=examination.role,
        split="test",
    )
