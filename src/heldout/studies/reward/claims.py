"""The study's statements, found or not, with the results that they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from heldout.evidence import Claim
from heldout.evidence.claims import p_value_text
from heldout.execution.result import Null, Result
from heldout.studies.reward.ablation import Ablation
from heldout.studies.reward.best_of_n import Chosen
from heldout.studies.reward.claims_between_models import change_claims, models_claim
from heldout.studies.reward.findings import COMPLETE, Reading, RewardStudy, is_cause
from heldout.studies.reward.pairs import ALPHA, QUALITY
from heldout.studies.reward.shuffling import Shuffled
from heldout.studies.reward.slopes import DRAWS, FEWEST_FOR_NEGLIGIBLE, TURNED, UNITS, WORTH, Slope

SCORE = "score"
NO_COMPONENTS = (
    "components: this model norms its stream behind each sum, so that what they write does not add up to a score"
)


def claims_of(study: RewardStudy) -> Iterator[Claim]:
    """By model: slopes, completeness, ablations, best-of-n; then what changed, and what holds over models."""
    for place, reading in enumerate(study.readings):
        name = f"model-{place}"
        yield from (slope_claim(name, reading, slope) for slope in reading.spurious)
        if reading.attributions:
            yield completeness_claim(name, reading)
        yield from (ablation_claim(name, reading, each) for each in reading.ablations)
        yield from exploitation_claims(name, reading)
    yield from change_claims(study)
    if len(study.readings) > 1:
        yield from (models_claim(each, study) for each in study.over_models)


def slope_claim(name: str, reading: Reading, slope: Slope) -> Claim:
    null = Null(TURNED, 0.0, max(map(abs, slope.null)), DRAWS, slope.p_value)
    result = Result(
        "contrastive_pairs", "slope", SCORE, slope.value, slope.groups, slope.interval, (null,), split="test"
    )
    results = [result]
    if slope.in_quality is not None:
        told = {"unit": UNITS, "effect": slope.in_quality.value, "interval": slope.in_quality.interval}
        results.insert(0, replace(result, **told, nulls=()))
    statement = slope_statement(reading, slope)
    return Claim(f"{name}-slope-{slope.feature}", slope.feature, None, statement, slope.found, tuple(results))


def slope_statement(reading: Reading, slope: Slope) -> str:
    low, high = slope.interval
    score = (
        f"{slope.value:+.3g} of the score a unit (95 % from {low:+.3g} to {high:+.3g}; {p_value_text(slope.p_value)})"
    )
    if slope.in_quality is None:
        low, high = reading.quality.interval
        return (
            f"What {slope.feature} is worth to {reading.name} in units of quality is not known: a slope of quality was not "
            f"found by {reading.quality.pairs} pairs ({reading.quality.value:+.3g}, 95 % from {low:+.3g} to {high:+.3g}). "
            f"It gives {score}."
        )
    low, high = slope.in_quality.interval
    unit = f"a unit of quality, which is {reading.quality.reading}, gives {reading.quality.value:+.3g}"
    figures = f"{slope.in_quality.value:+.3f} units of quality (95 % from {low:+.3f} to {high:+.3f}), {score}; {unit}"
    beyond = f"A slope of {slope.feature} beyond {WORTH:g} units of quality"
    searched = f"{beyond} was not found in {reading.name} by {slope.pairs} pairs"
    said = {
        "rewarded": f"{reading.name} rewards {slope.feature}: {figures}.",
        "punished": f"{reading.name} punishes {slope.feature}: {figures}.",
        "negligible": f"{searched}, whose interval over all features leaves one out: {figures}.",
        "undecided": f"{searched}, {doubt(slope)}: {figures}.",
    }
    return said[slope.reading]


def doubt(slope: Slope) -> str:
    """Why a slope that was not found is not negligible."""
    if slope.is_within:
        few = f"whose {slope.groups} groups are too few to exclude a reward of rare groups"
        return f"{few} ({FEWEST_FOR_NEGLIGIBLE} are needed)"
    return "which do not exclude one"


def completeness_claim(name: str, reading: Reading) -> Claim:
    exact = [kind for kind in reading.kinds if kind != "feature"]
    errors = {kind: reading.completeness_error(kind) for kind in reading.kinds}
    holds = max(errors[kind] for kind in exact) <= COMPLETE
    parts = " and ".join(f"{kind}s" for kind in exact)
    figures = (
        f"{' and '.join(f'{errors[kind]:.2g}' for kind in exact)} of them are left over; named features leave over "
        f"{errors['feature']:.2g}."
    )
    statement = (
        f"Score differences of {reading.name} are the sum of what {parts} give to them: {figures}"
        if holds
        else f"That score differences of {reading.name} are the sum of what {parts} give to them was not found "
        f"to {COMPLETE:g}: {figures}"
    )
    n = sum(len(each.difference) for each in reading.attributions if each.kind == "token")
    results = tuple(
        Result("attribution", f"completeness error, {kind}s", "share of the difference", error, n)
        for kind, error in errors.items()
    )
    missing = None if "component" in exact else NO_COMPONENTS
    return Claim(f"{name}-completeness", "attribution", None, statement, holds, results, missing)


def ablation_claim(name: str, reading: Reading, found: Ablation) -> Claim:
    holds = is_cause(found)
    largest, n = max(found.random), len(found.random)
    null = Null("random directions", sum(found.random) / n, largest, n, found.p_value)
    before_and_after = {"quality_before": found.quality_before, "quality_after": found.quality_after}
    kept = {"quality_kept": found.quality_kept, "quality_groups_lost": found.quality_groups_lost}
    result = Result(
        technique="direction_ablation",
        quantity="reduction of the slope",
        unit="share of the slope, in units of quality",
        effect=found.reduction,
        n=found.groups,
        interval=found.reduction_interval,
        nulls=(null,),
        site=found.place.partition(",")[0],
        split="test",
        settings={"strength": found.strength, **before_and_after, **kept},
    )
    statement = ablation_statement(reading, found, holds)
    return Claim(f"{name}-ablation-{found.feature}", found.feature, None, statement, holds, (result,))


def ablation_statement(reading: Reading, found: Ablation, holds: bool) -> str:
    interval = "not known"
    if found.reduction_interval is not None:
        low, high = found.reduction_interval
        interval = f"from {low:.0%} to {high:.0%}"
    figures = (
        f"its slope from {found.slope_before:+.3g} into {found.slope_after:+.3g} of the score, {found.reduction:.0%} less in "
        f"units of quality (95 % {interval}, {found.groups} groups); {found.quality_kept:.0%} of the slope of quality is kept, "
        f"and accuracy on quality goes from {found.quality_before:.1%} to {found.quality_after:.1%}: pairs of "
        f"{found.quality_groups_lost} of {found.quality_groups} groups turn wrong (95 % at most "
        f"{found.quality_lost_interval[1]:.0%} of groups); "
        f"{len(found.random)} random directions take at most {max(found.random):.0%} ({p_value_text(found.p_value)} over all "
        "features)."
    )
    if holds:
        return f"Taking the direction of {found.feature} out of {reading.name} ({found.place}) turns {figures}"
    return (
        f"A direction that carries {found.feature} and not quality was not found in {reading.name} by mean differences at its "
        f"sites: the best on other pairs ({found.place}) turns {figures}"
    )


def exploitation_claims(name: str, reading: Reading) -> Iterator[Claim]:
    """For every feature that is rewarded or punished: whether best-of-n goes its way."""
    if not reading.best_of_n:
        return
    plain = reading.best_of_n[0]
    quality = plain.at(QUALITY, plain.most)
    known = {each.name for each in plain.chosen}
    for slope in reading.spurious:
        if slope.found and slope.feature in known:
            own, null = plain.at(slope.feature, plain.most), plain.null(slope.feature)
            yield exploitation_claim(name, reading, slope, own, quality, null)


def exploitation_claim(
    name: str, reading: Reading, slope: Slope, own: Chosen, quality: Chosen, shuffled: Shuffled
) -> Claim:
    low, high = own.gain_interval
    exploited = shuffled.p_value <= ALPHA and (low > 0 if slope.value > 0 else high < 0)
    figures = (
        f"{own.gain:+.2f} standard deviations over {own.prompts} prompts (95 % from {low:+.2f} to {high:+.2f}; scores shuffled "
        f"among candidates give at most {shuffled.largest:.2f}, {p_value_text(shuffled.p_value)} over all features); "
        f"quality by {quality.gain:+.2f} ({quality.value:.2f}, where choosing by quality gives {quality.best:.2f})."
    )
    more = "more" if slope.value > 0 else "less"
    statement = (
        f"The best of {own.n} by {reading.name} moves {slope.feature} by {figures}"
        if exploited
        else f"That the best of {own.n} by {reading.name} has {more} {slope.feature} was not found: it moves by {figures}"
    )
    null = Null("scores shuffled among the candidates of a prompt", 0.0, shuffled.largest, DRAWS, shuffled.p_value)
    results = tuple(
        Result(
            technique="best_of_n",
            quantity=f"{each.name} in the best of {each.n}",
            unit="standard deviations of the candidates",
            effect=each.gain,
            n=each.prompts,
            interval=each.gain_interval,
            nulls=(null,) if each is own else (),
        )
        for each in (own, quality)
    )
    return Claim(f"{name}-best-of-n-{slope.feature}", slope.feature, None, statement, exploited, results)
