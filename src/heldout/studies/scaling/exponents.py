"""Exponents of what was measured against size: fitted where there are sizes and seeds enough, refused by name where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from heldout.execution.result import Result
from heldout.statistics import holm
from heldout.studies.scaling.positive import PositiveValues
from heldout.studies.scaling.reading import Quantity
from heldout.techniques.scaling import Form, PowerLaw, Scaling, ScalingFit
from heldout.techniques.scaling.scaling import FEWEST_SEEDS, FEWEST_SIZES

ALPHA = 0.05
"""Of a finding, over all exponents together."""
DRAWS = 400
"""Of the bootstrap: a fit with an offset takes long where there is none."""
FORMS: tuple[Form, ...] = ("power", "power_and_offset")
FORM_WORDS: dict[Form, str] = {"power": "power law", "power_and_offset": "power law and offset"}


@final
@dataclass(frozen=True)
class Exponent:
    """`fitted` is None where sizes or seeds are too few for any fit; `refused` says why there is no exponent, whether by
    that or by the fit itself. `p_value` is that values which know nothing of size change as much with it, corrected over
    all exponents that were asked for; `left_out` names the models whose value is not above 0."""

    quantity: Quantity
    form: Form
    fitted: ScalingFit | None
    refused: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    p_value: float | None = None

    @property
    def law(self) -> PowerLaw | None:
        return None if self.fitted is None else self.fitted.law

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.fitted is None else self.fitted.exponent_interval

    @property
    def found(self) -> bool:
        """There is an exponent, its interval leaves out 0, and neither permuted sizes nor sizes that move at random give as
        much."""
        if self.law is None or self.interval is None or self.p_value is None:
            return False
        low, high = self.interval
        return (low > 0.0 or high < 0.0) and self.p_value <= ALPHA

    @property
    def results(self) -> tuple[Result, ...]:
        return () if self.fitted is None else (self.fitted.result(self.quantity),)

    def to_json(self) -> dict[str, Any]:
        law = self.law
        return {
            "quantity": self.quantity,
            "form": self.form,
            "exponent": None if law is None else law.exponent,
            "interval": None if self.interval is None else list(self.interval),
            "factor": None if law is None else law.factor,
            "offset": None if law is None else law.offset,
            "offset_interval": list(self.fitted.offset_interval)
            if self.fitted and self.fitted.offset_interval
            else None,
            "p_value": self.p_value,
            "p_value_alone": None if self.fitted is None else self.fitted.null.p_value,
            "misfit_p_value": None if self.fitted is None else self.fitted.misfit_p_value,
            "next_size_error": None if self.fitted is None else self.fitted.next_size_error,
            "sizes": None if self.fitted is None else self.fitted.sizes,
            "models": None if self.fitted is None else self.fitted.models,
            "refused": list(self.refused),
            "left_out": list(self.left_out),
        }


def exponent_of(quantity: Quantity, form: Form, values: PositiveValues, seed: int) -> Exponent:
    """Sizes with fewer than two values are left out; where too few sizes are left, or where what is not above 0 bends the
    law, no exponent."""
    if values.bends:
        return Exponent(quantity, form, None, values.bends, values.left_out)
    usable = {float(size): each for size, each in values.by_size.items() if len(each) >= FEWEST_SEEDS}
    if len(usable) < FEWEST_SIZES[form]:
        reason = (
            f"too few sizes: {len(usable)} have a value above 0 for two seeds or more, {FEWEST_SIZES[form]} are needed"
        )
        return Exponent(quantity, form, None, (reason,), values.left_out)
    fitted = Scaling(form, draws=DRAWS, seed=seed).fit(usable)
    return Exponent(quantity, form, fitted, fitted.refused, values.left_out)


def corrected(exponents: Sequence[Exponent]) -> tuple[Exponent, ...]:
    """With p-values over all that was asked (Holm). An exponent that was not fitted was asked for, and counts as 1."""
    alone = [None if each.fitted is None else each.fitted.null.p_value for each in exponents]
    together = holm([1.0 if value is None else value for value in alone])
    return tuple(
        replace(each, p_value=None if value is None else family)
        for each, value, family in zip(exponents, alone, together, strict=True)
    )
