"""The comparison as a technique: two models on the same prompts, or one model on paired prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from heldout.data import ContrastPairs, Sample
from heldout.errors import InputError, Problem
from heldout.execution.result import Json, Null, Result
from heldout.models import Model, Site, Tokens
from heldout.techniques.inputs import as_sites, refuse_kind
from heldout.techniques.measuring import sharing
from heldout.techniques.pairs import TokenPairs
from heldout.techniques.representation_comparison.activations import read_activations
from heldout.techniques.representation_comparison.canonical_correlation import PWCCA, SVCCA
from heldout.techniques.representation_comparison.comparison import Comparison, Draws, compare
from heldout.techniques.representation_comparison.kernel_alignment import BiasedCKA, DebiasedCKA
from heldout.techniques.representation_comparison.measure import Measure
from heldout.techniques.representation_comparison.principal_components import PrincipalComponents
from heldout.techniques.representation_comparison.procrustes import OrthogonalProcrustes
from heldout.techniques.representation_comparison.robustness import Rest

MEASURES: tuple[Measure, ...] = (DebiasedCKA(), BiasedCKA(), OrthogonalProcrustes(), SVCCA(), PWCCA())
NAME = "representation_comparison"
LISTED = 20


@final
@dataclass(frozen=True)
class RepresentationComparison:
    """How alike two models represent the same prompts, at each pair of sites.

    `other` is the second model, read at `other_sites` (as a rule the same). Samples are read by each model with its own
    tokenizer. Of pairs the model reads the first prompts and `other`, or else the model itself, the second ones.
    `position` counts from the end; None is the mean over each prompt's tokens. One result for each measure and site; its
    null is the same measure with the second side's rows permuted; its interval is from random halves of the rows.

    `settings` of a result has the values without the first principal component and without items that are far out, and
    `flags`, which say where they differ: see `FLAGS`. `forward_passes` are those of the model, not of `other`. Sources:
    Murphy et al. 2024 for the debiased measure, which is the one to read; those of the others are with each. Known
    failure: models that read the same words are alike to some degree before any training."""

    sites: Sequence[Site]
    other: Model | None = None
    other_sites: Sequence[Site] | None = None
    measures: Sequence[Measure] = MEASURES
    position: int | None = -1
    permutations: int = 199
    halves: int = 199
    seed: int = 0
    name: str = NAME

    def __post_init__(self) -> None:
        called = "RepresentationComparison"
        object.__setattr__(self, "sites", as_sites(called, self.sites))
        if self.other_sites is not None:
            object.__setattr__(self, "other_sites", as_sites(called, self.other_sites))
        if len(self._second_sites) != len(self.sites):
            found = f"{len(self.sites)} sites and {len(self._second_sites)} of the other side"
            raise InputError(called, Problem(found, "one of the other side for each", "list them in pairs"))

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(sorted({site.name for site in (*self.sites, *self._second_sites)}))

    def run(self, model: Model, data: Sequence[Sample] | Tokens | ContrastPairs | TokenPairs) -> tuple[Result, ...]:
        """One result for each measure and site, measure by measure. Raises InputError for data that cannot be compared."""
        first, second, names = self._prompts(model, data)
        before = model.meter.samples
        one = components(read_activations(model, first, self.sites, self.position))
        two = components(read_activations(self.other or model, second, self._second_sites, self.position))
        passes = (model.meter.samples - before) / max(1, len(first))
        draws = Draws(self.permutations, self.halves, self.seed)
        results = [
            comparison_result(compare(measure, one[site], two[there], draws), site, there, self.position, names)
            for measure in self.measures
            for site, there in zip(self.sites, self._second_sites, strict=True)
        ]
        return sharing(results, passes)

    @property
    def _second_sites(self) -> Sequence[Site]:
        return self.sites if self.other_sites is None else self.other_sites

    def _prompts(self, model: Model, data: Any) -> tuple[Tokens, Tokens, list[str]]:
        """What each side reads, and the names of the items."""
        other = self.other or model
        if isinstance(data, ContrastPairs | TokenPairs):
            if isinstance(data, TokenPairs):
                return data.first, data.second, list(data.names) or numbered(len(data))
            pairs = list(data)
            first = model.tokenize([sample.input for sample, _ in pairs])
            second = other.tokenize([sample.input for _, sample in pairs])
            return first, second, [sample.id for sample, _ in pairs]
        if self.other is None and self._second_sites == self.sites:
            problem = Problem(
                "one model, the same sites and the same prompts on both sides",
                "something to compare with",
                "pass other=a model, other_sites, or pairs of prompts",
            )
            raise InputError("RepresentationComparison.run", problem)
        if isinstance(data, Tokens):
            return data, data, numbered(len(data))
        kinds = "samples, Tokens, ContrastPairs or TokenPairs"
        refuse_kind("RepresentationComparison.run", data, (Sequence,), kinds, "pass, say, suite.samples")
        prompts = [sample.input for sample in data]
        return model.tokenize(prompts), other.tokenize(prompts), [sample.id for sample in data]


def components(activations: dict[Site, Tensor]) -> dict[Site, PrincipalComponents]:
    return {site: PrincipalComponents.of(values.numpy()) for site, values in activations.items()}


def comparison_result(
    found: Comparison, site: Site, other_site: Site, position: int | None, names: Sequence[str]
) -> Result:
    """`names` are those of all items that there were, by their numbers."""
    return Result(
        technique=NAME,
        quantity=found.measure.name,
        unit=found.measure.unit,
        effect=found.value,
        n=found.items,
        interval=found.interval,
        nulls=permutation_null(found),
        site=str(site),
        layer=site.layer,
        position=position,
        settings={"other_site": str(other_site), **settings_of(found, names)},
    )


def permutation_null(found: Comparison) -> tuple[Null, ...]:
    """`maximum` is the value of the permutation in which the sides are most alike: of a distance the smallest."""
    if not len(found.unrelated):
        return ()
    closest = float(max(found.unrelated, key=found.measure.similarity))
    name = f"permuted {found.measure.rows}"
    return (Null(name, float(found.unrelated.mean()), closest, len(found.unrelated), found.p_value),)


def settings_of(found: Comparison, names: Sequence[str]) -> dict[str, Json]:
    removed = found.removals
    return {
        "rows": found.rows,
        "resampled": f"halves of the {found.measure.rows}",
        "without_first_component": value_of(removed.without_first_component),
        "first_component_shares": list(removed.first_shares),
        "without_outliers": value_of(removed.without_outliers),
        "n_outliers": len(removed.outliers),
        "outliers": [names[item] for item in removed.outliers[:LISTED]],
        "flags": list(found.flags),
    }


def value_of(rest: Rest | None) -> float | None:
    return None if rest is None else rest.value


def numbered(count: int) -> list[str]:
    return [str(number) for number in range(count)]
