"""Boundary density as a technique: how finely a layer cuts up the space between the prompts of a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from heldout.data import ContrastPairs
from heldout.errors import Problems
from heldout.execution.result import Null, Result
from heldout.models import Model, Site
from heldout.models.request_checks import check_trace
from heldout.shapes import Float
from heldout.statistics import permutation_p_value
from heldout.techniques.inputs import as_sites
from heldout.techniques.measuring import SHUFFLED, mean_interval, other_rows, sharing
from heldout.techniques.pairs import TokenPairs
from heldout.techniques.polytopes.boundaries import STEPS, Lines, boundaries
from heldout.techniques.polytopes.codes import is_piecewise_linear, read_site

OTHERS = "prompts of other pairs"


@final
@dataclass(frozen=True)
class PolytopeBoundaries:
    """Polytope boundaries per unit of length on the straight line between the streams of a pair's prompts, at `position`.

    `sites` are streams that MLPs read: resid_mid, or resid_pre where attention and MLP run in parallel. Two results a
    site: `boundary_density` on the straight line, and `boundary_density_rescaled` with the length of points evened out
    and distances taken behind the norm. Null, two-sided: first and second prompts of different pairs; its draws re-pair
    at most `most` pairs. Data: contrast pairs or `TokenPairs`. Source: Black et al. 2022 (arXiv 2211.12312).

    Assumes ReLUs for exact polytopes; for GELU and SiLU `settings["code"]` says that signs of pre-activations stand for
    them. Known failure: every direction along which many neurons change is dense, whether or not it means anything."""

    sites: Sequence[Site]
    position: int = -1
    steps: int = STEPS
    shuffles: int = 199
    most: int = 48
    seed: int = 0
    name: str = "polytope_boundaries"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sites", as_sites(type(self).__name__, self.sites))

    @property
    def needs(self) -> tuple[str, ...]:
        return ("resid_mid", "resid_pre")

    def run(self, model: Model, data: ContrastPairs | TokenPairs) -> tuple[Result, ...]:
        """Straight results in the order of the sites, then the rescaled ones. Raises InputError for sites that no MLP
        reads, and for what `Model.trace` refuses."""
        called, before = f"{type(self).__name__}.run", model.meter.samples
        pairs = TokenPairs.of(model, data)
        self._refuse(called, model, pairs)
        sites = tuple(self.sites)
        streams = [
            model.trace(tokens, sites, positions=self.position, logits=False) for tokens in (pairs.first, pairs.second)
        ]
        kept = min(len(pairs), self.most)
        lines = [self._lines(model, site, *(trace[site][:kept, 0] for trace in streams)) for site in sites]
        results = [
            *(
                self._result(model, site, "boundary_density", each.density)
                for site, each in zip(sites, lines, strict=True)
            ),
            *(
                self._result(model, site, "boundary_density_rescaled", each.control_density)
                for site, each in zip(sites, lines, strict=True)
            ),
        ]
        return sharing(results, (model.meter.samples - before) / len(pairs))

    def _lines(self, model: Model, site: Site, first: Tensor, second: Tensor) -> Lines:
        """From every first prompt to every second one, row by row."""
        assert site.layer is not None
        n = len(first)
        return boundaries(model, site.layer, first.repeat_interleave(n, 0), second.repeat(n, 1), self.steps)

    def _result(self, model: Model, site: Site, quantity: str, density: Float[Tensor, " line"]) -> Result:
        n = round(len(density) ** 0.5)
        table = density.double().cpu().unflatten(0, (n, n))
        own = table.diagonal()
        draws = torch.stack(
            [table[torch.arange(n), order].mean() for order in other_rows(n, self.shuffles, self.seed, SHUFFLED)]
            or [torch.tensor(float("nan"))]
        )
        effect = float(own.mean())
        assert site.layer is not None
        code = "exact" if is_piecewise_linear(model, site.layer) else "signs of smooth pre-activations"
        return Result(
            technique=self.name,
            quantity=quantity,
            unit="boundaries per unit of length",
            effect=effect,
            n=n,
            interval=mean_interval(own),
            nulls=(two_tailed(OTHERS, effect, draws),),
            site=str(site),
            layer=site.layer,
            position=self.position,
            settings={"steps": self.steps, "seed": self.seed, "code": code},
        )

    def _refuse(self, called: str, model: Model, pairs: TokenPairs) -> None:
        problems = Problems(called)
        if len(pairs) < 2:
            problems.add(f"{len(pairs)} pairs", "two or more, so that they can be re-paired", "add pairs")
        problems.raise_if_any()
        check_trace(
            called,
            self.sites,
            (self.position,),
            min(pairs.first.length, pairs.second.length),
            model.dimensions,
            model.missing_sites,
            model.architecture.family,
        )
        for site in self.sites:
            if site.layer is None or site != read_site(model, site.layer):
                wanted = read_site(model, site.layer or 0).name
                problems.add(f"the site {site}", f"{wanted}, which the MLP reads", f"pass model.sites({wanted!r})")
        if self.steps < 1 or self.shuffles < 1:
            problems.add(f"steps={self.steps}, shuffles={self.shuffles}", "at least one of each", "leave them out")
        problems.raise_if_any()


def two_tailed(name: str, effect: float, draws: Float[Tensor, " draw"]) -> Null:
    """Twice the smaller tail of a permutation null; `maximum` is the draw furthest from their mean."""
    values = draws.double().numpy()
    tails = (permutation_p_value(effect, values), permutation_p_value(-effect, -values))
    centre = float(values.mean())
    furthest = float(values[abs(values - centre).argmax()])
    return Null(name, centre, furthest, len(values), min(1.0, 2 * min(tails)))
