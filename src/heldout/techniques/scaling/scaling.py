"""How a measurement changes with model size: a fitted exponent, or the reasons why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from scipy import stats

from heldout.errors import Problems
from heldout.execution.result import Json, Null, Result
from heldout.seeds import numpy_generator
from heldout.statistics import permutation_p_value
from heldout.techniques.scaling.power_law import PARAMETERS, Array, Form, PowerLaw, fit, residuals

FEWEST_SIZES: dict[Form, int] = {"power": 3, "power_and_offset": 4}
FEWEST_SEEDS = 2
MISFIT = 0.01
"""Level at which the spread between seeds does not explain how far the sizes are from the law."""
PERMUTED = "sizes permuted, and Student's t over sizes"


@final
@dataclass(frozen=True)
class ScalingFit:
    """The `law` with 95 % intervals of its exponent and offset, all None where `refused` says why there is none.

    `misfit_p_value` is that of the F test for lack of fit; `next_size_error` by what share the law of the smaller sizes
    misses the mean of the largest (None where they are too few for a law)."""

    law: PowerLaw | None
    exponent_interval: tuple[float, float] | None
    offset_interval: tuple[float, float] | None
    refused: tuple[str, ...]
    misfit_p_value: float
    next_size_error: float | None
    null: Null
    sizes: int
    models: int
    settings: dict[str, Json]

    def result(self, quantity: str) -> Result:
        """The exponent as other techniques say a number. A refusal counts its reasons."""
        settings: dict[str, Json] = {
            **self.settings,
            "refused": list(self.refused),
            "sizes": self.sizes,
            "misfit_p_value": self.misfit_p_value,
            "next_size_error": self.next_size_error,
        }
        if self.law is not None:
            settings |= {"factor": self.law.factor, "offset": self.law.offset}
        return Result(
            technique="scaling",
            quantity="refusal" if self.law is None else f"exponent of {quantity}",
            unit="reasons" if self.law is None else "log of the value by log of the size",
            effect=float(len(self.refused)) if self.law is None else self.law.exponent,
            interval=self.exponent_interval,
            n=self.models,
            nulls=() if self.law is None else (self.null,),
            settings=settings,
        )


@final
@dataclass(frozen=True)
class Scaling:
    """Fits a·xᵇ, or a·xᵇ + c, to the values of several seeds at each of several sizes.

    Intervals are from a bootstrap over seeds: their deviations from the mean of their size, of all sizes together, as a few
    seeds of one size know little of its spread. They are widened for how few they are: deviations by √(n / (n − 1)), the
    interval to Student's with the seeds' degrees of freedom. The null permutes sizes over all models; as models of one size
    may differ from the law together, its p-value is the larger of that and Student's of the line through the means of sizes.
    Source: Efron and Tibshirani 1993 for the bootstrap; Draper and Smith 1998, section 2.1, for the F test.

    Assumes that seeds of a size differ by shares that are alike at all sizes. Known failure: an offset and an exponent
    trade off against each other over a narrow range of sizes; the interval of the exponent then is wide, and the law
    says nothing beyond the sizes that were measured."""

    form: Form = "power"
    draws: int = 1000
    permutations: int = 999
    seed: int = 0

    def fit(self, values: Mapping[float, Sequence[float]]) -> ScalingFit:
        """`values[size]` has one positive value for each seed.

        Raises InputError for fewer than three sizes (four with an offset), fewer than two seeds of a size, and for sizes
        or values that are not positive."""
        self._refuse(values)
        values = {size: values[size] for size in sorted(values)}
        sizes, flat = observations(values)
        law = fit(self.form, sizes, flat)
        refused, misfit = self._misfit(law, values)
        drawn = np.array([(each.exponent, each.offset) for each in self._resampled(law, values)])
        exponents, offsets = drawn.T
        return ScalingFit(
            law=None if refused else law,
            exponent_interval=None if refused else self._interval(law.exponent, exponents, values),
            offset_interval=None
            if refused or self.form == "power"
            else self._interval(law.offset, offsets, values, least=0.0),
            refused=refused,
            misfit_p_value=misfit,
            next_size_error=self._next_size_error(values),
            null=self._null(sizes, flat, values),
            sizes=len(values),
            models=len(flat),
            settings={"form": self.form, "draws": self.draws, "seed": self.seed},
        )

    def _resampled(self, law: PowerLaw, values: Mapping[float, Sequence[float]]) -> list[PowerLaw]:
        generator = numpy_generator(self.seed, "seeds", len(values))
        sizes, _ = observations(values)
        groups = [np.log(np.asarray(values[size], dtype=np.float64)) for size in values]
        means = np.concatenate([np.full(len(group), group.mean()) for group in groups])
        wider = [(len(group) / (len(group) - 1)) ** 0.5 for group in groups]
        deviations = np.concatenate([w * (group - group.mean()) for w, group in zip(wider, groups, strict=True)])
        drawn = means + generator.choice(deviations, (self.draws, len(means)))
        return [fit(self.form, sizes, np.exp(each), start=law) for each in drawn]

    def _interval(
        self, estimate: float, drawn: Array, values: Mapping[float, Sequence[float]], least: float = -np.inf
    ) -> tuple[float, float]:
        """Percentiles of the draws, further from the estimate by as much as Student's quantile is than the normal one."""
        freedom = sum(len(each) - 1 for each in values.values())
        wider = float(stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975))
        low, high = np.quantile(drawn, [0.025, 0.975])
        return max(least, estimate + wider * (float(low) - estimate)), estimate + wider * (float(high) - estimate)

    def _misfit(self, law: PowerLaw, values: Mapping[float, Sequence[float]]) -> tuple[tuple[str, ...], float]:
        """Whether sizes lie off the law by more than seeds differ."""
        groups = [residuals(law, np.full(len(v), float(size)), np.asarray(v, float)) for size, v in values.items()]
        free = len(groups) - PARAMETERS[self.form]
        between = sum(len(each) * float(each.mean()) ** 2 for each in groups) / free
        freedom = sum(len(each) - 1 for each in groups)
        within = sum(float(((each - each.mean()) ** 2).sum()) for each in groups) / freedom
        p_value = float(stats.f.sf(between / within, free, freedom)) if within > 0.0 else float(between <= 1e-20)
        if p_value >= MISFIT:
            return (), p_value
        off = max(abs(float(each.mean())) for each in groups)
        said = "no power law" if self.form == "power" else "no power law with an offset"
        return (f"{said}: a size lies off it by {np.expm1(off):.0%} (lack of fit, p = {p_value:.2g})",), p_value

    def _next_size_error(self, values: Mapping[float, Sequence[float]]) -> float | None:
        *smaller, largest = values
        if len(smaller) < FEWEST_SIZES[self.form]:
            return None
        law = fit(self.form, *observations({size: values[size] for size in smaller}))
        mean = float(np.exp(np.log(np.asarray(values[largest], dtype=np.float64)).mean()))
        return float(law(np.array([float(largest)]))[0]) / mean - 1.0

    def _null(self, sizes: Array, flat: Array, values: Mapping[float, Sequence[float]]) -> Null:
        """Exponents of plain power laws where sizes belong to no model in particular; two-sided. The p-value is the larger
        of that and of `trend_p_value`."""
        generator = numpy_generator(self.seed, "sizes permuted", len(flat))
        drawn = np.array([fit("power", generator.permutation(sizes), flat).exponent for _ in range(self.permutations)])
        observed = abs(fit("power", sizes, flat).exponent)
        p_value = max(permutation_p_value(observed, np.abs(drawn)), trend_p_value(values))
        return Null(PERMUTED, float(drawn.mean()), float(np.abs(drawn).max()), len(drawn), p_value)

    def _refuse(self, values: Mapping[float, Sequence[float]]) -> None:
        problems = Problems(f"Scaling(form={self.form!r}).fit({len(values)} sizes)")
        if self.form not in FEWEST_SIZES:
            problems.add(f"form={self.form!r}", f"one of {', '.join(FEWEST_SIZES)}", "correct the name")
            problems.raise_if_any()
        if len(values) < FEWEST_SIZES[self.form]:
            next_step = "measure more sizes: with fewer, any values lie on such a law"
            problems.add(f"{len(values)} sizes", f"at least {FEWEST_SIZES[self.form]}", next_step)
        if few := [size for size, each in values.items() if len(each) < FEWEST_SEEDS]:
            next_step = "train more seeds: one says nothing of the spread"
            problems.add(f"one value or none at sizes {few}", "two seeds or more of each size", next_step)
        if wrong := [size for size, each in values.items() if not size > 0 or not all(0 < v < np.inf for v in each)]:
            problems.add(f"sizes or values that are not positive, at {wrong}", "positive numbers", "a law has a log")
        if min(self.draws, self.permutations) < 1:
            problems.add("no draws or no permutations", "one or more", "leave them out")
        problems.raise_if_any()


def trend_p_value(values: Mapping[float, Sequence[float]]) -> float:
    """Student's, two-sided, that the means of sizes do not rise or fall with them, in logarithms: the unit is the size, whose
    models may share what moves them off the law."""
    means = [float(np.log(np.asarray(each, dtype=np.float64)).mean()) for each in values.values()]
    found: Any = stats.linregress(np.log(list(values)), means)
    return float(found.pvalue) if np.isfinite(found.pvalue) else 1.0


def observations(values: Mapping[float, Sequence[float]]) -> tuple[Array, Array]:
    """Sizes and values, one of each for every model."""
    sizes = np.concatenate([np.full(len(each), float(size)) for size, each in values.items()])
    return sizes, np.concatenate([np.asarray(each, dtype=np.float64) for each in values.values()])
