"""The study's statements, found or not, with the results that they rest on."""

from __future__ import annotations

from collections.abc import Iterator

from heldout.evidence import Claim
from heldout.execution.result import Null, Result
from heldout.studies.reward.ablation import Ablation
from heldout.studies.reward.best_of_n import Chosen
from heldout.studies.reward.changes import Change
from heldout.studies.reward.findings import COMPLETE, OverModels, Reading, RewardStudy, is_cause
from heldout.studies.reward.pairs import QUALITY
from heldout.studies.reward.slopes import DRAWS, WORTH, Slope

SCORE = "score"


def claims_of(study: RewardStudy) -> Iterator[Claim]:
    """By model: slopes, completeness, ablations, best-of-n; then what changed, and what holds over models."""
    for place, reading in enumerate(study.readings):
        name = f"model-{place}"
        yield from (slope_claim(name, reading, slope) for slope in reading.spurious)
        yield completeness_claim(name, reading)
        yield from (ablation_claim(name, reading, each) for each in reading.ablations)
        yield from exploitation_claims(name, reading)
    yield from (change_claim(study, change) for change in study.changes)
    if len(study.readings) > 1:
        yield from (models_claim(each) for each in study.over_models)


def slope_claim(name: str, reading: Reading, slope: Slope) -> Claim:
    low, high = slope.interval
    figures = f"{slope.value:+.3f} a unit (95 % from {low:+.3f} to {high:+.3f}; a unit of quality {reading.quality.value:+.3f})"
    said = {
        "rewarded": f"{reading.name} rewards {slope.feature}: {figures}.",
        "punished": f"{reading.name} punishes {slope.feature}: {figures}.",
        "negligible": f"A slope of {slope.feature} beyond {WORTH:g} units of quality was not found in {reading.name}, and the "
        f"interval leaves no room for one: {figures}.",
        "undecided": f"A slope of {slope.feature} beyond {WORTH:g} units of quality was not found in {reading.name} by "
        f"{slope.pairs} pairs, which do not exclude one: {figures}.",
    }
    null = Null("permuted orientation of pairs", 0.0, max(map(abs, slope.null)), DRAWS, slope.p_value)
    result = Result(
        "contrastive_pairs", "slope", SCORE, slope.value, slope.groups, slope.interval, (null,), split="test"
    )
    return Claim(f"{name}-slope-{slope.feature}", slope.feature, None, said[slope.reading], slope.found, (result,))


def completeness_claim(name: str, reading: Reading) -> Claim:
    errors = {kind: reading.completeness_error(kind) for kind in ("component", "token", "feature")}
    holds = max(errors["component"], errors["token"]) <= COMPLETE
    statement = (
        f"Score differences of {reading.name} are the sum of what components and tokens give to them, but for "
        f"{errors['component']:.2g} and {errors['token']:.2g} of them; named features leave over {errors['feature']:.2g}."
    )
    n = sum(len(each.difference) for each in reading.attributions if each.kind == "component")
    results = tuple(
        Result("attribution", f"completeness error, {kind}s", "share of the difference", error, n)
        for kind, error in errors.items()
    )
    return Claim(f"{name}-completeness", "attribution", None, statement, holds, results)


def ablation_claim(name: str, reading: Reading, found: Ablation) -> Claim:
    holds = is_cause(found)
    statement = (
        f"Taking the direction of {found.feature} out of {reading.name} ({found.place}) turns its slope from "
        f"{found.slope_before:+.3f} into {found.slope_after:+.3f}, {found.reduction:.0%} less; accuracy on quality goes from "
        f"{found.quality_before:.1%} to {found.quality_after:.1%}; {len(found.random)} random directions take at most "
        f"{max(found.random):.0%}."
    )
    mean = sum(found.random) / len(found.random)
    null = Null("random directions", mean, max(found.random), len(found.random), found.p_value)
    before_and_after = {"quality_before": found.quality_before, "quality_after": found.quality_after}
    result = Result(
        technique="direction_ablation",
        quantity="reduction of the slope",
        unit="share of the slope",
        effect=found.reduction,
        n=len(found.random),
        nulls=(null,),
        site=found.place.partition(",")[0],
        split="test",
        settings={"strength": found.strength, **before_and_after},
    )
    return Claim(f"{name}-ablation-{found.feature}", found.feature, None, statement, holds, (result,))


def exploitation_claims(name: str, reading: Reading) -> Iterator[Claim]:
    """For every feature that is rewarded or punished: whether best-of-n goes its way."""
    if not reading.best_of_n:
        return
    plain = reading.best_of_n[0]
    quality = plain.at(QUALITY, plain.most)
    known = {each.name for each in plain.chosen}
    for slope in reading.spurious:
        if slope.found and slope.feature in known:
            yield exploitation_claim(name, reading, slope, plain.at(slope.feature, plain.most), quality)


def exploitation_claim(name: str, reading: Reading, slope: Slope, own: Chosen, quality: Chosen) -> Claim:
    low, high = own.gain_interval
    exploited = low > 0 if slope.value > 0 else high < 0
    statement = (
        f"The best of {own.n} by {reading.name} moves {slope.feature} by {own.gain:+.2f} standard deviations (95 % from "
        f"{low:+.2f} to {high:+.2f}), and quality by {quality.gain:+.2f} ({quality.value:.2f}, where choosing by quality "
        f"gives {quality.best:.2f})."
    )
    results = tuple(
        Result(
            technique="best_of_n",
            quantity=f"{each.name} in the best of {each.n}",
            unit="standard deviations of the candidates",
            effect=each.gain,
            n=each.prompts,
            interval=each.gain_interval,
        )
        for each in (own, quality)
    )
    return Claim(f"{name}-best-of-n-{slope.feature}", slope.feature, None, statement, exploited, results)


def change_claim(study: RewardStudy, change: Change) -> Claim:
    assert study.before is not None
    low, high = change.interval
    unit = SCORE if change.feature == QUALITY else "units of quality"
    verb = "changed" if change.found else "was not found to change beyond the margin"
    statement = (
        f"The slope of {change.feature} {verb} from {study.before.name} to {study.readings[0].name}: {change.before:+.3f} to "
        f"{change.after:+.3f} {unit}, a difference of {change.difference:+.3f} (95 % from {low:+.3f} to {high:+.3f})."
    )
    null = Null("random signs of the changes", 0.0, max(map(abs, change.null)), DRAWS, change.p_value)
    result = Result(
        "contrastive_pairs", "change of slope", unit, change.difference, change.groups, change.interval, (null,)
    )
    return Claim(f"change-{change.feature}", change.feature, None, statement, change.found, (result,))


def models_claim(found: OverModels) -> Claim:
    low, high = found.interval or (float("-inf"), float("inf"))
    beyond = low > WORTH or high < -WORTH
    verb = "is worth" if beyond else "was not found to be worth more than the margin:"
    statement = (
        f"Over {len(found.values)} models a unit of {found.feature} {verb} {found.mean:+.3f} units of quality "
        f"(95 % from {low:+.3f} to {high:+.3f})."
    )
    result = Result("contrastive_pairs", "slope", "units of quality", found.mean, len(found.values), found.interval)
    return Claim(f"models-{found.feature}", found.feature, None, statement, beyond, (result,))
