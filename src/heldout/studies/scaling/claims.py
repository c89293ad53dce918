"""What the study claims: of each quantity and form, whether size changes it by a power."""

from __future__ import annotations

from collections.abc import Iterator

from heldout.evidence import Claim
from heldout.evidence.claims import not_found, p_value_text
from heldout.studies.scaling.exponents import FORM_WORDS, Exponent
from heldout.studies.scaling.findings import ScalingStudy
from heldout.studies.scaling.reading import QUANTITIES


def claims_of(study: ScalingStudy) -> Iterator[Claim]:
    for exponent in study.exponents:
        subject = f"{QUANTITIES[exponent.quantity][0]} against model size"
        name = f"{exponent.quantity}-{exponent.form}"
        missing = "; ".join(exponent.refused) or None
        yield Claim(name, subject, None, statement(exponent), exponent.found, exponent.results, missing)


def statement(exponent: Exponent) -> str:
    """One sentence; p-values are over all exponents that were asked for."""
    what = QUANTITIES[exponent.quantity][0]
    form = FORM_WORDS[exponent.form]
    without = left_out(exponent)
    if exponent.law is None or exponent.interval is None or exponent.p_value is None:
        return f"An exponent of {what} by a {form} was not given.{without}"
    low, high = exponent.interval
    fitted = f"exponent {exponent.law.exponent:.3g}, 95 % interval {low:.3g} to {high:.3g}"
    fitted += f", sizes permuted, and Student's t over sizes: {p_value_text(exponent.p_value)} over all exponents"
    if exponent.found:
        grows = "grows" if exponent.law.exponent > 0 else "shrinks"
        return f"{what.capitalize()} {grows} with size by a {form}: {fitted}.".replace("-", "−") + without
    return not_found(f"A change of {what} with size", f"a {form} ({fitted})", None).replace("-", "−") + without


def left_out(exponent: Exponent) -> str:
    """A sentence that names the models whose values no law can have."""
    return f" Left out, as not above 0: {'; '.join(exponent.left_out)}." if exponent.left_out else ""
