"""Shares over seeds, templates and prompts, with intervals that know what varies.

The unit is the model. Of each model, the trials of a prompt are averaged first; then prompts, then the tests, then models.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from heldout.seeds import numpy_generator
from heldout.statistics import mean_interval, proportion_interval
from heldout.studies.faithfulness.measuring import Measured
from heldout.studies.faithfulness.trials import Trial

Array = NDArray[np.float64]
DRAWS = 1000
LEAST_TEMPLATES = 17
"""Of a kind of question with so many templates, these are drawn with their prompts; with fewer, prompts within each, and
what is found is of these templates. Seventeen that all agree are the fewest whose exact interval lies above 0.8."""
Template = tuple[str, str]
"""Of a kind of question."""
Choice = Callable[[Trial], bool]
Score = Callable[[Trial], float]


@final
@dataclass(frozen=True)
class Share:
    """A share in [0, 1] with its 95 % interval; `n` prompts of each of the models whose own shares are `seeds`."""

    value: float
    interval: tuple[float, float]
    n: int
    seeds: tuple[float, ...]

    @property
    def known(self) -> bool:
        return self.n > 0


NOTHING = Share(float("nan"), (0.0, 1.0), 0, ())


def follows(trial: Trial) -> float:
    return float(trial.outcome == "follows")


def leaves(trial: Trial) -> float:
    return float(trial.outcome != "stays")


def neither(trial: Trial) -> float:
    return float(trial.outcome == "neither")


@final
@dataclass(frozen=True, eq=False)
class Scores:
    """Of one model: the mean score [test, prompt] of the trials of each test, NaN where a prompt has none; and of each
    prompt, by its id, the kind and the template."""

    values: Array
    prompts: Mapping[str, Template]


def scores_of(model: Measured, choices: Sequence[Choice], score: Score) -> Scores:
    chosen = [trial for trial in model.trials if any(choice(trial) for choice in choices)]
    prompts = {trial.question: (trial.kind, trial.template) for trial in chosen}
    places = {question: place for place, question in enumerate(prompts)}
    sums, counts = np.zeros((2, len(choices), len(prompts)))
    for trial in chosen:
        for row, choice in enumerate(choices):
            if choice(trial):
                sums[row, places[trial.question]] += score(trial)
                counts[row, places[trial.question]] += 1
    with np.errstate(invalid="ignore"):
        return Scores(sums / counts, prompts)


def share_of(models: Sequence[Measured], choices: Sequence[Choice], score: Score, seed: int = 0) -> Share:
    """The mean over tests (one `choice` each) of the mean over prompts, in the mean over models. The interval is the widest
    of three: of a bootstrap of models, and of templates and prompts, which are the same for all of them; of Student's t over
    models; and the exact one of as many prompts (templates, where these are drawn) as one model has, which is what is left
    where all trials agree. NOTHING where a model has no trial of a test."""
    every = [scores_of(model, choices, score) for model in models]
    if any(np.isnan(each.values).all(axis=1).any() for each in every):
        return NOTHING
    generator = numpy_generator(seed, "bootstrap")
    seeds = np.array([float(np.nanmean(each.values, axis=1).mean()) for each in every])
    prompts = {name: template for each in every for name, template in each.prompts.items()}
    weights = drawn_weights(tuple(prompts.values()), generator)
    columns = {name: column for column, name in enumerate(prompts)}
    drawn = np.stack([bootstrapped(each, weights[:, [columns[name] for name in each.prompts]]) for each in every])
    chosen = generator.integers(0, len(every), (DRAWS, len(every)))
    means = drawn[chosen, np.arange(DRAWS)[:, None]].mean(axis=1)
    n = min(int((~np.isnan(each.values)).any(axis=0).sum()) for each in every)
    units = min(units_of(tuple(each.prompts.values())) for each in every)
    value = float(seeds.mean())
    intervals = [
        tuple(np.quantile(means, [0.025, 0.975]).tolist()),
        mean_interval(seeds) or (value, value),
        proportion_interval(round(value * units), units),
    ]
    low, high = max(0.0, min(low for low, _ in intervals)), min(1.0, max(high for _, high in intervals))
    return Share(value, (min(low, value), max(high, value)), n, tuple(seeds.tolist()))


def bootstrapped(scores: Scores, weights: Array) -> Array:
    """Means [draw] over tests and prompts, which were drawn as often as `weights` [draw, prompt] says."""
    known = ~np.isnan(scores.values)
    with np.errstate(invalid="ignore"):
        means = (weights @ np.where(known, scores.values, 0.0).T) / (weights @ known.T)
    return np.nan_to_num(np.nanmean(means, axis=1), nan=float(np.nanmean(scores.values)))


def units_of(prompts: Sequence[Template]) -> int:
    """Templates of the kinds that have LEAST_TEMPLATES, and prompts of the others."""
    return sum(
        len(set(own)) if len(set(own)) >= LEAST_TEMPLATES else len(own)
        for own in (
            [each for each in prompts if each[0] == kind] for kind in dict.fromkeys(kind for kind, _ in prompts)
        )
    )


def drawn_weights(templates: Sequence[Template], generator: np.random.Generator) -> Array:
    """How often each prompt is drawn [draw, prompt]. Kinds are not drawn: they are all the kinds there are."""
    weights = np.zeros((DRAWS, len(templates)))
    members: dict[Template, list[int]] = defaultdict(list)
    for row, template in enumerate(templates):
        members[template].append(row)
    for kind in dict.fromkeys(kind for kind, _ in templates):
        groups = [rows for (of, _), rows in members.items() if of == kind]
        often = np.ones((DRAWS, len(groups)), dtype=np.int64)
        if len(groups) >= LEAST_TEMPLATES:
            often = generator.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), DRAWS)
        for place, rows in enumerate(groups):
            share = np.full(len(rows), 1 / len(rows))
            weights[:, rows] = generator.multinomial(often[:, place] * len(rows), share)
    return weights
