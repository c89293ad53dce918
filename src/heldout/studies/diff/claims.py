"""What the study asks, and what it claims."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.evidence import Claim
from heldout.evidence.claims import not_found, p_value_text
from heldout.execution.result import Result
from heldout.statistics import mean_interval
from heldout.studies.diff.findings import Measured
from heldout.studies.diff.interchange import Change, Share
from heldout.studies.diff.judging import NO_REFERENCE, WITHIN, Question, judge
from heldout.studies.diff.latents import LatentReading
from heldout.studies.diff.prompts import Prompts

NAMED = 6
"""Tokens that a claim names."""


def claims_of(
    tuned: Measured, references: Sequence[Measured], sources: Sequence[Prompts], quantity: str
) -> tuple[Claim, ...]:
    """Weights, activations, predictions and behaviour, each against the references."""
    questions = [weights_question(tuned, references)]
    if tuned.lens:
        questions.append(activations_question(tuned, references, sources[-1]))
    questions += [divergence_question(tuned, references, place) for place in range(len(tuned.divergences))]
    if tuned.change is not None:
        questions.append(behaviour_question(tuned, tuned.change, references, sources[0], quantity))
    if tuned.latents is not None:
        questions.append(
            latents_question(tuned.latents, [each.latents for each in references if each.latents is not None])
        )
    return judge(questions)


def weights_question(tuned: Measured, references: Sequence[Measured]) -> Question:
    most = max(tuned.deltas, key=lambda delta: delta.relative_norm, default=None)
    said = f"weights moved by {tuned.relative_norm:.3g} of their norm"
    if most is not None:
        said += f", most in {most.component} ({most.relative_norm:.3g})"
    result = Result(
        "weight deltas", "relative norm of the change", "of the norm", tuned.relative_norm, len(tuned.deltas)
    )
    sizes = tuple(reference.relative_norm for reference in references)
    return Question("weights", "A larger change of weights", said, result, sizes)


def activations_question(tuned: Measured, references: Sequence[Measured], prompts: Prompts) -> Question:
    reading = tuned.lens[0]
    pushed = ", ".join(token.text for token in reading.tokens[:NAMED])
    said = (
        f"at the first tokens of {prompts.source} activations of layer {reading.layer} moved by {reading.shift:.3g} of "
        f"their norm, most towards {pushed}"
    )
    result = Result(
        "activation difference lens", f"mean difference on {prompts.source}", "of the stream's norm", reading.shift,
        reading.texts, reading.shift_interval, reading.nulls, "resid_post", reading.layer,
    )  # fmt: skip
    sizes = tuple(reference.lens[0].shift for reference in references)
    return Question("activations", "A shift of activations", said, result, sizes)


def divergence_question(tuned: Measured, references: Sequence[Measured], place: int) -> Question:
    own = tuned.divergences[place]
    first = own.by_token()
    before = f", most before {first[0][0]!r}" if first else ""
    said = f"predictions on {own.source} diverge by {own.mean:.3g} nats a token{before}"
    result = Result("divergence", "KL(tuned ‖ base)", "nats a token", own.mean, len(own.values), own.interval)
    sizes = tuple(reference.divergences[place].mean for reference in references)
    return Question(f"divergence on {own.source}", "A divergence of predictions", said, result, sizes)


def behaviour_question(
    tuned: Measured, change: Change, references: Sequence[Measured], prompts: Prompts, quantity: str
) -> Question:
    difference = change.tuned - change.base
    effect = float(difference.mean())
    said = f"the {quantity} of {prompts.source} changed by {effect:+.3g} nats"
    result = Result("behaviour", quantity, "nats", effect, len(difference), mean_interval(difference))
    sizes = tuple(
        float((each.change.tuned - each.change.base).mean()) for each in references if each.change is not None
    )
    return Question("behaviour", "A change of behaviour", said, result, sizes, signed=True)


def latents_question(reading: LatentReading, references: Sequence[LatentReading]) -> Question:
    named = "; ".join(", ".join(latent.tokens) for latent in reading.exclusive[:2] if latent.tokens)
    said = f"{reading.in_tuned} latents of a crosscoder at {reading.site} are of the tuned model alone"
    said += f" (active on {named})" if named else ""
    result = Result("crosscoder", "latents of the tuned model alone", "latents", reading.in_tuned, reading.rows,
                    nulls=reading.nulls, site=reading.site)  # fmt: skip
    counts = tuple(float(reference.in_tuned) for reference in references)
    return Question("latents", "More latents of its own", said, result, counts, signed=True, closest=1.0)


def component_claims(shares: Sequence[Share], referenced: bool) -> tuple[Claim, ...]:
    """One a component: whether its weights bring more of the change than random changes of their size, and whether both
    directions of the exchange agree."""
    return tuple(_component_claim(share, referenced) for share in shares if share.kind == "weights")


def share_results(share: Share) -> tuple[Result, Result]:
    """Both directions of the exchange, inserted and removed."""
    ways = (
        ("inserted into the base", share.inserted, share.inserted_interval, share.inserted_null),
        ("removed from the tuned model", share.removed, share.removed_interval, share.removed_null),
    )
    inserted, removed = (
        Result(f"interchange of {share.kind}", f"share of the change of behaviour, {way}", "share", effect, null.n, interval,
               (null,), settings={"component": share.component})
        for way, effect, interval, null in ways
    )  # fmt: skip
    return inserted, removed


def beyond_shares(share: Share) -> tuple[bool, bool]:
    """Whether it is beyond random changes, inserted and removed."""
    inserted, removed = share_results(share)
    return beyond_random(inserted), beyond_random(removed)


def _component_claim(share: Share, referenced: bool) -> Claim:
    results = share_results(share)
    said = (
        f"in the base {share.component} brings {_beside(results[0])}, and taken out of the tuned model it removes "
        f"{_beside(results[1])}"
    )
    name, subject = f"component {share.component}", f"difference/{share.component}"
    if not referenced:
        return Claim(name, subject, None, f"Measured: {said}.", False, results, NO_REFERENCE)
    if any(beyond_random(result) for result in results):
        return Claim(name, subject, None, f"{said[0].upper()}{said[1:]}.", True, results)
    what = f"A part of the change of behaviour in {share.component}"
    return Claim(name, subject, None, not_found(what, f"interchange of weights ({said})", None), False, results)


def beyond_random(result: Result) -> bool:
    """Beyond random changes of the same size, over components and both directions, and above 0 over prompts."""
    p_value = result.nulls[0].p_value
    return p_value is not None and 2 * p_value <= WITHIN and result.interval is not None and result.interval[0] > 0


def _beside(result: Result) -> str:
    null = result.nulls[0]
    p_value = 1.0 if null.p_value is None else null.p_value
    random = f"random changes at most {null.maximum:.0%}, {p_value_text(p_value)}"
    return f"{result.effect:.0%} of the change of behaviour ({random})"
