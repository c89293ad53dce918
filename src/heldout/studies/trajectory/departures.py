"""Where a model says something else than what it holds: a readout of the right answer against the model's own answer.

The readout is fitted where the right answer is known, on verified prompts, before the last layer. On other prompts of
both roles, centred on each, its reading is held against what the model says. A model that holds the answer and says
something else on unverified prompts alone overrides it; one that cannot answer departs on both. A readout that does not
transfer to unverified prompts departs on them as well: `transfer` says whether it does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
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

DEPARTED, EXCESS, TRANSFERRED = "departure_rate", "excess_departure", "transfer_rate"
OF_VERIFIED, OTHER_READINGS = "verified prompts", "readings of other prompts"
RELABELLED = "answers named anew"
OF_DEPARTURES = "of departures"
RIGHT_READ, RIGHT_SAID = "right answer read", "right answer said"
"""Of the prompts on which a model departs and whose right answer is known, on how many."""
Answers = NDArray[np.str_]


@final
@dataclass(frozen=True, eq=False)
class Departures:
    """The share of prompts on which a model does not say what is read of it, by role, and how much larger it is on
    unverified ones: with Fisher's exact test, and Newcombe's interval of exact limits. What was read and said on unverified
    prompts is kept for `transfer`."""

    asked: Asked
    name: str = "departures"

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.asked.key, "kept": "what is read and said"}

    def measure(self, model: Model, checkpoint: Checkpoint, **settings: Any) -> list[dict[str, Any]]:
        concept, sites = self._readable(model)
        activations = finite_activations(model, self.asked.tokens(model), sites)
        said = answers_of(model, self.asked).spelled
        parts = self.asked.parts(concept)
        readout = fit_readout(activations, concept, parts)
        values = activations[readout.site]
        rows = {"verified": np.array(parts.test), "unverified": self.asked.rows("unverified")}
        read = {role: readout.fitted.recentred(values[those])(values[those]) for role, those in rows.items()}
        verified, unverified = (_rate(read[role], said[rows[role]], role, readout.site) for role in rows)
        kept = {"read": read["unverified"].tolist(), "said": said[rows["unverified"]].tolist()}
        by_cue = [
            _rate(read["unverified"][places], said[rows["unverified"]][places], "unverified", readout.site, cue)
            for role, cue in self.asked.groups
            if role == "unverified" and cue is not None
            for places in [self._places(rows["unverified"], cue)]
        ]
        whole = replace(unverified, settings={**unverified.settings, **kept})
        return as_json([verified, whole, *by_cue, excess_of(unverified, verified)])

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


def _rate(read: Answers, said: Answers, role: Any, site: Site, cue: str | None = None) -> Result:
    """The null is a readout that says of each prompt what it reads of another: it knows nothing of the prompt."""
    count, n = int((read != said).sum()), len(read)
    chance = 1.0 - chance_agreement(read, said)
    return Result(
        technique="linear readout against the answer",
        quantity=DEPARTED,
        unit="fraction of prompts",
        effect=count / n,
        n=n,
        interval=proportion_interval(count, n),
        nulls=(Null(OTHER_READINGS, chance, chance, n),),
        site=str(site),
        layer=site.layer,
        role=role,
        settings={"cue": cue},
    )


def chance_agreement(read: Answers, said: Answers) -> float:
    """How often the reading of a prompt is what is said to another one; 1 where there is only one."""
    n, same = len(read), int((read == said).sum())
    pairs = sum(int((read == answer).sum()) * int((said == answer).sum()) for answer in np.unique(read))
    return (pairs - same) / (n * (n - 1)) if n > 1 else 1.0


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
