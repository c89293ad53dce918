"""The comparison by crosscoder as a technique: two models at sites, on the same prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np

from heldout.data import ContrastPairs, Sample
from heldout.errors import InputError, Problem
from heldout.execution.result import Json, Null, Result
from heldout.models import Model, Site, Tokens
from heldout.statistics import permutation_p_value
from heldout.techniques.dictionaries.comparison import CrosscoderComparison
from heldout.techniques.dictionaries.findings import CrosscoderFindings
from heldout.techniques.dictionaries.token_rows import TokenRows, same_tokens
from heldout.techniques.inputs import as_sites, refuse_kind
from heldout.techniques.measuring import sharing
from heldout.techniques.pairs import TokenPairs

NAME = "crosscoder"
Data = Sequence[Sample] | Tokens | ContrastPairs | TokenPairs


@final
@dataclass(frozen=True)
class CrosscoderDiff:
    """Says which sparse latents two models share and which one of them has alone, at each pair of sites.

    The model is A, `other` is B; it is read at `other_sites`, as a rule the same. Samples are read by each model with its
    own tokenizer; of pairs the model reads the first prompts and `other`, or else the model itself, the second ones. Every
    token is a row, or with `position` (from the end) one a prompt; a prompt's tokens are held out together.

    Results: the number of latents that one of the models has alone, against that in null runs of a model beside itself; then
    the share of each model's variance that is explained. `findings` has all that is behind them.
    `seed` takes the place of the comparison's. Source: Lindsey et al. 2024; Minder et al. 2025 (arXiv 2504.02922)."""

    sites: Sequence[Site]
    other: Model | None = None
    other_sites: Sequence[Site] | None = None
    position: int | None = None
    comparison: CrosscoderComparison = field(default_factory=CrosscoderComparison)
    seed: int = 0
    name: str = NAME

    def __post_init__(self) -> None:
        object.__setattr__(self, "sites", as_sites("CrosscoderDiff", self.sites))
        if self.other_sites is not None:
            object.__setattr__(self, "other_sites", as_sites("CrosscoderDiff", self.other_sites))
        if len(self._second_sites) != len(self.sites):
            found = f"{len(self.sites)} sites and {len(self._second_sites)} of the other side"
            problem = Problem(found, "one of the other side for each", "list them in pairs")
            raise InputError("CrosscoderDiff", problem)

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(sorted({site.name for site in (*self.sites, *self._second_sites)}))

    def run(self, model: Model, data: Data) -> tuple[Result, ...]:
        """Three results a site: quantity by quantity, sites in their order."""
        before = model.meter.samples
        found = self.findings(model, data)
        passes = (model.meter.samples - before) / max(1, len(data))
        return sharing(results_of(found, dict(zip(self.sites, self._second_sites, strict=True)), self.position), passes)

    def findings(self, model: Model, data: Data) -> dict[Site, CrosscoderFindings]:
        """By the site of the model. Raises InputError for data on which there is nothing to compare."""
        one, two = self._tokens(model, data)
        rows = same_tokens("CrosscoderDiff.run", one, two, self.position)
        a, b = rows.read(model, one, self.sites), rows.read(self.other or model, two, self._second_sites)
        comparison = replace(self.comparison, seed=self.seed)
        groups = rows.prompts.tolist()
        pairs = zip(self.sites, self._second_sites, strict=True)
        return {site: comparison.compare(a[site], b[there], groups) for site, there in pairs}

    def rows(self, model: Model, data: Data) -> TokenRows:
        """Which token each row of the activations is."""
        return TokenRows.of(self._tokens(model, data)[0], self.position)

    @property
    def _second_sites(self) -> Sequence[Site]:
        return self.sites if self.other_sites is None else self.other_sites

    def _tokens(self, model: Model, data: Any) -> tuple[Tokens, Tokens]:
        other = self.other or model
        if isinstance(data, TokenPairs):
            return data.first, data.second
        if isinstance(data, ContrastPairs):
            pairs = list(data)
            return model.tokenize([one.input for one, _ in pairs]), other.tokenize([two.input for _, two in pairs])
        if self.other is None and self._second_sites == self.sites:
            found = "one model, the same sites and the same prompts on both sides"
            next_step = "pass other=a model, other_sites, or pairs of prompts"
            raise InputError("CrosscoderDiff.run", Problem(found, "something to compare with", next_step))
        if isinstance(data, Tokens):
            return data, data
        kinds = "samples, Tokens, ContrastPairs or TokenPairs"
        refuse_kind("CrosscoderDiff.run", data, (Sequence,), kinds, "pass, say, suite.samples")
        prompts = [sample.input for sample in data]
        return model.tokenize(prompts), other.tokenize(prompts)


def results_of(
    found: Mapping[Site, CrosscoderFindings], other_sites: Mapping[Site, Site], position: int | None
) -> list[Result]:
    exclusive = [exclusive_result(each, site, other_sites[site], position) for site, each in found.items()]
    explained = [
        Result(
            technique=NAME,
            quantity=f"explained in {'AB'[number]}",
            unit="share of variance",
            effect=findings.latents.explained[number],
            n=findings.latents.rows,
            site=str(site),
            layer=site.layer,
            position=position,
            settings={"other_site": str(other_sites[site])},
        )
        for number in (0, 1)
        for site, findings in found.items()
    ]
    return [*exclusive, *explained]


def exclusive_result(findings: CrosscoderFindings, site: Site, other_site: Site, position: int | None) -> Result:
    """Of the latents that one of the models has alone; `settings` say which, in `classes`."""
    count = findings.counts["only A"] + findings.counts["only B"]
    return Result(
        technique=NAME,
        quantity="exclusive",
        unit="latents",
        effect=float(count),
        n=findings.latents.rows,
        nulls=identical_null(count, findings.calibration.exclusive_in_identical),
        site=str(site),
        layer=site.layer,
        position=position,
        settings={"other_site": str(other_site), **settings_of(findings)},
    )


def identical_null(count: int, in_null_runs: Sequence[int]) -> tuple[Null, ...]:
    if not in_null_runs:
        return ()
    draws = np.array(in_null_runs, dtype=np.float64)
    p_value = permutation_p_value(float(count), draws)
    return (Null("a model beside itself", float(draws.mean()), float(draws.max()), len(draws), p_value),)


def settings_of(findings: CrosscoderFindings) -> dict[str, Json]:
    return {
        "classes": {str(name): count for name, count in findings.counts.items()},
        "absent": findings.limits.absent.tolist(),
        "present": findings.limits.present.tolist(),
        "codes_a_row": findings.latents.codes_a_row,
        "sparsity": findings.sparsity,
        "seed": findings.seed,
    }
