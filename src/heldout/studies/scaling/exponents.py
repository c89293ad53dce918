"""Exponents of what was measured against size: fitted where there are sizes and seeds enough, refused by name where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from heldout.execution.result import Result
from heldout.studies.scaling.reading import Quantity
from heldout.techniques.scaling import Form, PowerLaw, Scaling, ScalingFit
from heldout.techniques.scaling.scaling import FEWEST_SEEDS, FEWEST_SIZES

ALPHA = 0.05
DRAWS = 400
"""Of the bootstrap: a fit with an offset takes long where there is none."""
FORMS: tuple[Form, ...] = ("power", "power_and_offset")
FORM_WORDS: dict[Form, str] = {"power": "power law", "power_and_offset": "power law and offset"}


@final
@dataclass(frozen=True)
class Exponent:
    """`fitted` is None where sizes or seeds are too few for any fit; `refused` says why there is no exponent, whether by
    that or by the fit itself."""

    quantity: Quantity
    form: Form
    fitted: ScalingFit | None
    refused: tuple[str, ...]

    @property
    def law(self) -> PowerLaw | None:
        return None if self.fitted is None else self.fitted.law

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.fitted is None else self.fitted.exponent_interval

    @property
    def p_value(self) -> float | None:
        """That values which know nothing of size change as much with it."""
        return None if self.fitted is None else self.fitted.null.p_value

    @property
    def found(self) -> bool:
        """There is an exponent, its interval leaves out 0, and permuted sizes do not give as much."""
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
            "misfit_p_value": None if self.fitted is None else self.fitted.misfit_p_value,
            "next_size_error": None if self.fitted is None else self.fitted.next_size_error,
            "sizes": None if self.fitted is None else self.fitted.sizes,
            "models": None if self.fitted is None else self.fitted.models,
            "refused": list(self.refused),
        }


def exponent_of(quantity: Quantity, form: Form, values: Mapping[int, Sequence[float]], seed: int) -> Exponent:
    """`values[size]` are those of the seeds that have one. Sizes with fewer than two are left out; where too few sizes are
    left, no exponent."""
    usable = {float(size): each for size, each in values.items() if len(each) >= FEWEST_SEEDS}
    if len(usable) < FEWEST_SIZES[form]:
        reason = (
            f"too few sizes: {len(usable)} have a value above 0 for two seeds or more, {FEWEST_SIZES[form]} are needed"
        )
        return Exponent(quantity, form, None, (reason,))
    fitted = Scaling(form, draws=DRAWS, seed=seed).fit(usable)
    return Exponent(quantity, form, fitted, fitted.refused)
