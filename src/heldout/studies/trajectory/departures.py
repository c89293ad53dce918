"""Where a model says something else than what it holds: a readout of the right answer against the model's own answer.

The readout is fitted where the right answer is known, on verified prompts, before the last layer. On other prompts of
both roles its reading is held against what the model says. A model that holds the answer and says something else on
unverified prompts alone overrides it; one that cannot answer departs on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import Any, final

import numpy as np
from scipy import stats

from heldout.errors import InputError, Problem
from heldout.execution.result import Null, Result
from heldout.models import Checkpoint, Model, Site
from heldout.statistics import proportion_interval
from heldout.studies.compare.concepts import Concept
from heldout.studies.trajectory.answers import answers_of
from heldout.studies.trajectory.asked import Asked, Rows
from heldout.studies.trajectory.gauge import as_json
from heldout.studies.trajectory.readouts import finite_activations, fit_readout, layers_read

DEPARTED, EXCESS = "departure_rate", "excess_departure"
OF_VERIFIED = "verified prompts"


@final
@dataclass(frozen=True, eq=False)
class Departures:
    """The share of prompts on which a model does not say what is read of it, by role, and how much larger it is on
    unverified ones: with Fisher's exact test, and Newcombe's interval of exact limits."""

    asked: Asked
    name: str = "departures"

    @property
    def settings(self) -> dict[str, Any]:
        return self.asked.key

    def measure(self, model: Model, checkpoint: Checkpoint, **settings: Any) -> list[dict[str, Any]]:
        concept, sites = self._readable(model)
        activations = finite_activations(model, self.asked.tokens(model), sites)
        said = answers_of(model, self.asked).spelled
        parts = self.asked.parts(concept)
        readout = fit_readout(activations, concept, parts)
        values, unverified = activations[readout.site], self.asked.rows("unverified")
        departed = readout.fitted(values[parts.test]) != said[parts.test]
        elsewhere = readout.fitted.recentred(values[unverified])(values[unverified]) != said[unverified]
        by_cue = [
            _rate(elsewhere[self._places(unverified, cue)], "unverified", cue, readout.site)
            for role, cue in self.asked.groups
            if role == "unverified" and cue is not None
        ]
        rates = [_rate(departed, "verified", None, readout.site), _rate(elsewhere, "unverified", None, readout.site)]
        return as_json([*rates, *by_cue, excess_of(rates[1], rates[0])])

    def _places(self, unverified: Rows, cue: str) -> Rows:
        return np.flatnonzero(np.isin(unverified, self.asked.rows("unverified", cue)))

    def _readable(self, model: Model) -> tuple[Concept, tuple[Site, ...]]:
        """The right answer, and the layers before the last."""
        concept, sites = self.asked.right_answer, tuple(s for s in layers_read(model) if s.layer != model.n_layers - 1)
        called = f"departures of {model.name!r}"
        if concept is None:
            found = "right answers that too few verified prompts share"
            raise InputError(
                called, Problem(found, "answers that recur", "add verified prompts, or measure without departures")
            )
        if not sites:
            expected = "a layer before the last, to read what the last may replace"
            problem = Problem("one layer", expected, "measure the rest without departures")
            raise InputError(called, problem)
        return concept, sites


def _rate(departed: np.ndarray, role: Any, cue: str | None, site: Site) -> Result:
    count, n = int(departed.sum()), len(departed)
    return Result(
        technique="linear readout against the answer",
        quantity=DEPARTED,
        unit="fraction of prompts",
        effect=count / n,
        n=n,
        interval=proportion_interval(count, n),
        site=str(site),
        layer=site.layer,
        role=role,
        settings={"cue": cue},
    )


def excess_of(unverified: Result, verified: Result) -> Result:
    """The difference of two rates, held against none (Newcombe 1998, method 10, with exact limits)."""
    assert unverified.interval is not None  # rates have one
    assert verified.interval is not None
    counts = [[round(rate.effect * rate.n), rate.n - round(rate.effect * rate.n)] for rate in (unverified, verified)]
    tested: Any = stats.fisher_exact(counts, alternative="greater")
    difference = unverified.effect - verified.effect
    low = difference - hypot(unverified.effect - unverified.interval[0], verified.interval[1] - verified.effect)
    high = difference + hypot(unverified.interval[1] - unverified.effect, verified.effect - verified.interval[0])
    return Result(
        technique=unverified.technique,
        quantity=EXCESS,
        unit="fraction of prompts",
        effect=difference,
        n=unverified.n + verified.n,
        interval=(max(low, -1.0), min(high, 1.0)),
        nulls=(Null(OF_VERIFIED, 0.0, 0.0, verified.n, float(tested.pvalue)),),
        site=unverified.site,
        layer=unverified.layer,
        role="unverified",
    )
