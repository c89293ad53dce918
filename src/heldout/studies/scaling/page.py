"""The page of the study: one HTML file that needs no network and no script."""

from __future__ import annotations

from collections import Counter

from heldout.evidence.claims import p_value_text
from heldout.report.html import Markup, element, table
from heldout.studies.pages import section, study_page, titled
from heldout.studies.scaling.claims import left_out
from heldout.studies.scaling.drawing import TITLE, drawings
from heldout.studies.scaling.exponents import FORM_WORDS, Exponent
from heldout.studies.scaling.findings import ScalingStudy
from heldout.studies.scaling.reading import QUANTITIES, Quantity

WORDS = (
    ("size", "parameters that are neither embedding nor unembedding"),
    ("series", "the models of one folder: one seed at several sizes"),
    ("loss", "mean cross-entropy of the right answers, over the whole vocabulary"),
    ("learning coefficient", "by which power of ε the volume of weights shrinks whose outputs differ from the model’s by less "
     "than ε; half of the parameters where every direction matters. Refused where chains do not mix, drift, or the "
     "temperature changes it"),
    ("path length", "how many sublayers must run after one another until the loss is that of the whole model, mean over "
     "prompts"),
    ("circuit size", "how many edges, the best first, until every larger circuit carries the asked share of what tells the "
     "right answer from that of another prompt"),
    ("exponent", "b in a·sizeᵇ, or in a·sizeᵇ + c"),
    ("lack of fit", "sizes lie off the law by more than seeds of a size differ, at a level of 1 %"),
    ("chance", "how often values that know nothing of size change as much with it, the larger of two: where sizes are permuted "
     "over models, and by Student’s t over the means of sizes, whose models may share what moves them; corrected over all "
     "exponents (Holm)"),
    ("next size", "by what share the law of the smaller sizes misses the mean of the largest"),
)  # fmt: skip


def report_page(study: ScalingStudy) -> str:
    sizes, models = study.sizes, study.models
    smallest, largest = (f"{size:,}".replace(",", "\u202f") for size in (sizes[0], sizes[-1]))
    facts = (
        f"{len(models)} models of {len(sizes)} sizes, {smallest} to {largest} parameters; {len(study.series)} series"
    )
    return study_page(
        command="heldout study scaling",
        title=TITLE,
        facts=facts,
        answer=element("ul", [element("li", answer(study, quantity)) for quantity in QUANTITIES], class_="items"),
        drawings=drawings(study),
        sections=section("The exponents", _exponents(study), _refusals(study)),
        words=WORDS,
    )


def answer(study: ScalingStudy, quantity: Quantity) -> str:
    """What was found of a quantity, in a sentence."""
    what, exponent = QUANTITIES[quantity][0].capitalize(), study.exponent(quantity)
    refused = len(study.refusals(quantity))
    if refused == len(study.models):
        reasons = Counter(reading.refused[0].partition(":")[0] for _, reading in study.refusals(quantity))
        return f"{what}: refused for every model, so it has no exponent (most often: {reasons.most_common(1)[0][0]})."
    if exponent.law is None or exponent.interval is None:
        return f"{what}: no exponent ({exponent.refused[0]}).{left_out(exponent)}"
    low, high = exponent.interval
    by = f"{exponent.law.exponent:.2f} (95 % interval {low:.3g} to {high:.3g})".replace("-", "−")
    if not exponent.found:
        return f"{what}: a change with size was not found; the exponent is {by}.{left_out(exponent)}"
    verb = "grows" if exponent.law.exponent > 0 else "shrinks"
    return f"{what} {verb} with size to the power {by}.{left_out(exponent)}"


def _exponents(study: ScalingStudy) -> Markup:
    headings = ("quantity", "form", "exponent", "95 % interval", "offset", "chance", "lack of fit", "next size")
    return table(headings, [_exponent_row(exponent) for exponent in study.exponents])


def _exponent_row(exponent: Exponent) -> tuple[str, ...]:
    named = (QUANTITIES[exponent.quantity][0], FORM_WORDS[exponent.form])
    fitted, law, interval = exponent.fitted, exponent.law, exponent.interval
    if fitted is None:
        return (*named, "–", exponent.refused[0], "–", "–", "–", "–")
    misfit = f"p = {fitted.misfit_p_value:.2g}"
    missed = "–" if fitted.next_size_error is None else f"{fitted.next_size_error:+.0%}".replace("-", "−")
    if law is None or interval is None:
        return (*named, "refused", exponent.refused[0], "–", "–", misfit, missed)
    bounds = f"{interval[0]:.3g} to {interval[1]:.3g}".replace("-", "−")
    offset = f"{law.offset:.3g}" if exponent.form == "power_and_offset" else "–"
    return (
        *named,
        f"{law.exponent:.2f}".replace("-", "−"),
        bounds,
        offset,
        "–" if exponent.p_value is None else p_value_text(exponent.p_value),
        misfit,
        missed,
    )


def _refusals(study: ScalingStudy) -> Markup | None:
    """How many models have no value for which reason; reasons without their numbers."""
    counts = Counter(
        (QUANTITIES[quantity][0], reason.partition(":")[0])
        for quantity in QUANTITIES
        for _, reading in study.refusals(quantity)
        for reason in reading.refused
    )
    if not counts:
        return None
    rows = [(what, reason, f"{count} of {len(study.models)}") for (what, reason), count in counts.most_common()]
    note = "A refusal is a result: the number could not be had, and a wrong one is not shown in its place."
    return titled("What was refused", note, table(("quantity", "reason", "models"), rows))
