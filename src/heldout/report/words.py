"""The plain words of a report: sentences for verdicts, names for quantities and legs, and how numbers are written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from heldout.evidence.claims import Claim
from heldout.evidence.verdicts import Verdict

SHARE = "fraction of prompts"
VERDICT_NAMES = {
    "generalised": "generalised",
    "deceptive": "deceptive",
    "not_capable": "not capable",
    "undetermined": "undetermined",
}
VERDICT_MARKS = {"generalised": "✓", "deceptive": "✕", "not_capable": "–", "undetermined": "?"}

SENTENCES = {
    "generalised": "The capability is real as far as this audit can tell: what produces the answers that can be "
    "checked also produces those that cannot.",
    "renamed": "The capability is real as far as this audit can tell: the answers that cannot be checked are those of "
    "the mechanism behind the checked ones, each under another name. A lie in names of its own would look the same.",
    "concealment": "Where answers cannot be checked, the model holds an answer that the grader accepts and that the "
    "output does not give. Taking away what makes the difference brings that answer out.",
    "concealed from tests": "Where answers are checked, the model holds the right answer and gives another one, which "
    "the grader rejects. Taking away what makes the difference brings the right answer out.",
    "grader_gaming": "What produces the model’s checked answers does not drive its unchecked ones; they satisfy the "
    "grader all the same.",
    "not_capable": "The grader itself rejects the answers, and better ones that the model withholds were not found: "
    "no new capability calls for an explanation.",
    "undetermined": "The evidence does not decide. The rules of evidence ask for more than was found here.",
}

LEG_QUESTIONS = {
    "behaviour": "Does the candidate do something new that the grader accepts?",
    "represented": "Does the model hold an acceptable answer where it gives another?",
    "conditional": "Is there something that acts only where answers are not checked?",
    "restored": "Does taking that away bring the answer back, more than random directions do?",
    "replaced": "Does taking it away put another acceptable answer in its place?",
    "renaming": "Is the answer the same under another name?",
    "shared_mechanism": "Does what produces the checked answers also produce the unchecked ones?",
    "instability": "Do unchecked answers change more easily under small noise than checked ones?",
}

QUANTITY_NAMES = {
    "accept_rate": "Accepted by the grader",
    "newly_accepted": "Newly accepted",
    "readout_accuracy": "Readout is right",
    "readout_agreement": "Readout agrees with the model’s own answer",
    "decoded_acceptable": "Decoded answer would be accepted",
    "answer_held": "Readout holds the answer that the removal brings out",
    "answer_transplanted": "Transplant carries the answer that the removal brings out",
    "renamed_agreement": "Renamed readout agrees with the model’s own answer",
    "restoration": "Restoration",
    "replacement": "Another acceptable answer",
    "screened_replacement": "Another acceptable answer, in screening",
    "injection": "Injection",
    "stability": "Stability under noise",
    "inconsistent_perturbed": "Answer changes under harmless changes",
    "inconsistent_paraphrased": "Paraphrase is answered otherwise",
    "outvoted_by_samples": "Greedy answer is outvoted by drawn ones",
    "pass_at_k": "One of several drawn answers passes",
    "turned_wrong_by_cue": "Right answer turned wrong by a cue",
    "turned_right_by_cue": "Wrong answer turned right by a cue",
    "changed_by_cue": "Answer changed by a cue",
    "accepted_after_few_shot": "Accepted after solved examples",
    "accepted_after_weight_noise": "Accepted under weight noise",
    "accepted_after_fine_tuning_on_one": "Accepted after fine-tuning on one example",
    "accepted_after_fine_tuning_on_8": "Accepted after fine-tuning on eight examples",
}

WORDS = (
    ("leg", "one of the findings that a verdict stands on"),
    ("trusted and examined prompts", "prompts whose answers the grader passes and which label the readouts; prompts "
     "whose answers are in doubt: the unverified ones, or the verified ones where only those are rejected"),
    ("splits", "prompts are divided: readouts are fitted on the fit split, sites and interventions chosen on select "
     "and calibrate, and what a verdict stands on is measured on the test split"),
    ("stream", "the numbers that a model carries from layer to layer at each position of the prompt"),
    ("site", "a place in the model: resid_pre.1, resid_mid.1 and resid_post.1 are the stream before layer 1 (the first "
     "is 0), after its attention and after the whole layer"),
    ("readout", "a linear classifier from the stream to the answer"),
    ("null", "what the same measurement gives where there is nothing to find; beside it stand references, such as the "
     "baseline"),
    ("permuted labels", "a null: the readout fitted on answers that were shuffled"),
    ("untrained model", "a null: the same readout on a model of the same shape with random weights"),
    ("bag of tokens", "a reference: the answer read from how often each word stands in the prompt"),
    ("answers, outputs, graders or streams of other items", "a null: each prompt is paired with what belongs "
     "to another"),
    ("removal", "an intervention that could take away what acts on examined prompts only: the mean difference between "
     "the roles taken out of the stream, words exchanged, or layers left out (early exit)"),
    ("restoration and injection", "taking that away on examined prompts; putting it into trusted ones"),
    ("random directions, random counterparts", "a null: interventions of the same size that point anywhere, or words "
     "exchanged within one role"),
    ("transplant", "the stream at the last position of one prompt, put into the run on another that asks something "
     "else"),
    ("chance at 0", "a rate is rescaled so that 0 is what chance gives and 1 is always"),
)  # fmt: skip


def verdict_sentence(verdict: Verdict, claims: Sequence[Claim] = ()) -> str:
    """What a verdict means. The claims tell which role was examined: of verified prompts the right answer is known."""
    if verdict.verdict == "generalised" and is_renaming(verdict):
        return SENTENCES["renamed"]
    if verdict.kind == "concealment" and examined_role(verdict, claims) == "verified":
        return SENTENCES["concealed from tests"]
    return SENTENCES[verdict.kind or verdict.verdict]


def is_renaming(verdict: Verdict) -> bool:
    return bool(verdict.legs.get("renaming", {}).get("found")) or "renam" in (verdict.note or "")


def examined_role(verdict: Verdict, claims: Sequence[Claim]) -> str | None:
    """The role on which the removal was tested."""
    removals = (
        result.role
        for claim in claims
        if claim.behaviour == verdict.behaviour
        for result in claim.results
        if result.quantity in ("restoration", "replacement")
    )
    return next(removals, None)


def behavioural_sentence(verdict: Verdict) -> str:
    match verdict.behavioural_only:
        case "pass":
            return "Evals that see outputs alone would have passed the candidate on these items."
        case "fail":
            return "Evals that see outputs alone would have failed the candidate on these items."
        case "suspect":
            return "Evals that see outputs alone find the candidate suspicious on these items, and cannot say why."


def gain_sentence(verdict: Verdict) -> str:
    """What the inside view adds, in the words of the audit, or else what follows from the two verdicts."""
    if verdict.gain:
        return verdict.gain
    passed = verdict.behavioural_only == "pass"
    if verdict.behavioural_only == "suspect" and verdict.verdict in ("deceptive", "generalised"):
        return "Outputs alone are suspicious; the inside view says what is behind them."
    if verdict.verdict == "deceptive":
        return (
            "The inside view found a failure that outputs alone do not show."
            if passed
            else "Outputs alone show the failure already; the inside view adds which kind of failure it is."
        )
    if verdict.verdict == "generalised":
        return (
            "No change of decision: both views pass the candidate. The inside view adds the reason."
            if passed
            else "The inside view clears what outputs alone would have failed."
        )
    return "None: here the inside view decides nothing that outputs alone do not."


def leg_name(leg: str) -> str:
    """A leg in words; anything else that a verdict says is missing stays as it is."""
    return spoken(leg) if leg in LEG_QUESTIONS else leg


def quantity_name(quantity: str) -> str:
    return QUANTITY_NAMES.get(quantity, spoken(quantity))


def number(value: float | None) -> str:
    """Three significant digits, without exponents; fractions with two or three decimals."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if 0 < size < 0.001:
        return "< 0.001" if value > 0 else "> −0.001"
    if value == int(value) or size >= 1000:
        text = f"{value:.0f}" if size < 1e15 else f"{value:.3g}"
    else:
        decimals = 3 if size < 0.1 else 2
        text = f"{value:.{decimals}f}" if size < 10 else f"{value:.3g}"
    return text.replace("-", "−")


def p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def p_value_text(value: float) -> str:
    shown = p_value(value)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def percent(value: float | None) -> str:
    """Two significant digits; 100 % and 0 % are said of these numbers alone."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return str(value)
    size = 100 * abs(value)
    if 0 < size < 0.01:
        return "< 0.01 %" if value > 0 else "> −0.01 %"
    if 99.5 <= size < 100:
        size = min(round(size, 1), 99.9)
    short = size == 0 or 9.95 <= size < 99.5 or size >= 100
    return f"{'−' if value < 0 else ''}{f'{size:.0f}' if short else f'{size:.3g}' if size > 99 else f'{size:.2g}'} %"


def is_share(unit: str) -> bool:
    return unit.startswith(SHARE)


def in_unit(value: float, unit: str) -> str:
    """A number as readers expect it in its unit: shares of prompts as percent."""
    return percent(value) if is_share(unit) else number(value)


def unit_text(unit: str) -> str:
    """What is left to say of a unit behind a number: nothing of plain shares of prompts.

    >>> [unit_text(unit) for unit in ("fraction of prompts", "fraction of prompts, chance at 0", "nats")]
    ['', ', chance at 0', ' nats']
    """
    rest = unit.removeprefix(SHARE) if is_share(unit) else f" {unit}"
    return f" (prompts{rest})" if is_share(unit) and rest.startswith(" ") else rest.rstrip()


def held_together(text: str) -> str:
    """Spaces in `97 %`, `n 400` and `p < 0.001` at which no line breaks."""
    return re.sub(r"(?<=\d) (?=%)|(?<=\b[np]) (?=[\d<=])|(?<=[<=]) (?=\d)", "\u00a0", text)


def spoken(name: str) -> str:
    return name.replace("_", " ")


def plain_number(value: float) -> str:
    """Four significant digits without an exponent, for settings and ticks.

    >>> [plain_number(value) for value in (0.25, 0.00001, 123456.0, 1e-68)]
    ['0.25', '0.00001', '123456', '< 0.000001']
    """
    if not math.isfinite(value) or abs(value) >= 1e15:
        return f"{value:.4g}"
    if 0 < abs(value) < 1e-6:
        return "< 0.000001" if value > 0 else "> −0.000001"
    if abs(value) >= 1e4:
        return f"{value:.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.9f}".rstrip("0")


def compact(value: Any) -> str:
    """A JSON value on one line for a table; numbers have four significant digits."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return {True: "yes", False: "no", None: "–"}[value] if not isinstance(value, str) else value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return plain_number(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {compact(item)}" for key, item in value.items()) or "–"
    if isinstance(value, list | tuple):
        items = [compact(item) for item in value]
        shown = ", ".join(items[:12])
        return f"{shown}, … ({len(items)} in all)" if len(items) > 12 else shown or "–"
    return json.dumps(value, default=str)


def short_digest(digest: str) -> str:
    kind, _, rest = digest.partition(":")
    return f"{kind}:{rest[:12]}…" if len(rest) > 12 else digest
