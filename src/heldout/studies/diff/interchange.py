"""Which components carry the change of behaviour: each changes places between the two models, and back.

Weights: a component of one model stands in the other. Outputs: what it wrote for the same tokens does; of the stream, all
that lies before it does (model stitching, arXiv 2106.07682)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heldout.execution.result import Null
from heldout.models import Model, Set, Site
from heldout.models.batching import batch_size, batches_by_length
from heldout.progress import Progress
from heldout.seeds import numpy_generator, torch_generator
from heldout.statistics import max_t_p_values
from heldout.studies.diff.behaviour import Behaviour
from heldout.studies.diff.components import coin, components_of, sign_flipped, weights_of, with_weights
from heldout.studies.diff.pairing import Pairing

RESAMPLES = 999
Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Share:
    """How much of the change of behaviour goes with one component, 1 for all of it.

    `inserted`: the tuned component in the base brings so much of the change; `removed`: the base's in the tuned model
    takes so much away. Intervals are 95 % over prompts. The nulls are changes of equal size and random signs in the same
    component, made to the base and to the tuned model; their p-values are corrected over components (max-T). `up_to`:
    what all components up to this one bring together; None for outputs."""

    component: str
    kind: str
    inserted: float
    inserted_interval: tuple[float, float]
    removed: float
    removed_interval: tuple[float, float]
    inserted_null: Null
    removed_null: Null
    up_to: float | None = None


@final
@dataclass(frozen=True, eq=False)
class Change:
    """The behaviour of both models, a number a prompt."""

    base: Array
    tuned: Array

    def share(self, moved: Array) -> float:
        return float(moved.mean() / (self.tuned - self.base).mean())

    def interval(self, moved: Array, rows: NDArray[np.int64]) -> tuple[float, float]:
        """Of the ratio of two means, over resampled prompts."""
        whole = (self.tuned - self.base)[rows].mean(axis=1)
        shares = moved[rows].mean(axis=1) / np.where(whole == 0, np.nan, whole)
        low, high = np.nanpercentile(shares, [2.5, 97.5])
        return (float(low), float(high))


@final
@dataclass(frozen=True, eq=False)
class Places:
    """What can change places: the values of the base with a part of the tuned model, of the tuned model with a part of
    the base, and of either with a random change of the same size."""

    inserted: Callable[[str], Array]
    removed: Callable[[str], Array]
    inserted_at_random: Callable[[str, torch.Generator], Array]
    removed_at_random: Callable[[str, torch.Generator], Array]


def weight_shares(
    pairing: Pairing, behaviour: Behaviour, change: Change, draws: int, seed: int, progress: Progress
) -> tuple[Share, ...]:
    """Each component's weights. Components that are the same in both models are left out."""
    base, tuned = pairing.base, pairing.tuned
    parts = {part.name: part for part in components_of(base, pairing.parameters)}
    here = {name: weights_of(base, part) for name, part in parts.items()}
    there = {name: _like(weights_of(tuned, part), here[name]) for name, part in parts.items()}
    moved = [name for name in parts if any(not torch.equal(here[name][p], there[name][p]) for p in here[name])]

    def run(model: Model, weights: Mapping[str, Tensor]) -> Array:
        with with_weights(model, weights):
            return behaviour.values(model)

    places = Places(
        inserted=lambda name: run(base, there[name]),
        removed=lambda name: run(tuned, here[name]),
        inserted_at_random=lambda name, generator: run(base, sign_flipped(here[name], there[name], generator)),
        removed_at_random=lambda name, generator: run(tuned, sign_flipped(there[name], here[name], generator)),
    )
    shares = _shares("weights", moved, places, change, draws, seed, progress)
    joined: dict[str, Tensor] = {}
    together: list[Share] = []
    for share in shares:
        joined |= there[share.component]
        together.append(replace(share, up_to=change.share(run(base, joined) - change.base)))
    return tuple(together)


def output_shares(
    pairing: Pairing, behaviour: Behaviour, change: Change, draws: int, seed: int, progress: Progress
) -> tuple[Share, ...]:
    """What each sublayer writes, at all positions, and the stream behind each layer but the last."""
    base, tuned = pairing.base, pairing.tuned
    names = [name for name in ("attn_out", "mlp_out", "resid_post") if name not in base.missing_sites]
    sites = [site for name in names for site in base.sites(name)]
    sites = [site for site in sites if site != Site("resid_post", base.n_layers - 1)]
    outputs = PairedOutputs(base, tuned, behaviour, sites)
    places = Places(
        inserted=lambda name: outputs.run(base, Site.parse(name), lambda _, there: there),
        removed=lambda name: outputs.run(tuned, Site.parse(name), lambda here, _: here),
        inserted_at_random=lambda name, generator: outputs.run(
            base, Site.parse(name), lambda here, there: here + (there - here) * coin(here, generator)
        ),
        removed_at_random=lambda name, generator: outputs.run(
            tuned, Site.parse(name), lambda here, there: there + (here - there) * coin(there, generator)
        ),
    )
    return _shares("outputs", [str(site) for site in sites], places, change, draws, seed, progress)


@final
class PairedOutputs:
    """What both models write at sites for the same rows, batch by batch."""

    def __init__(self, base: Model, tuned: Model, behaviour: Behaviour, sites: list[Site]) -> None:
        self._behaviour = behaviour
        kept = 2 * len(sites) * base.d_model
        size = batch_size(base, behaviour.tokens.length, kept_per_token=kept)
        self._batches = [
            (rows, batch, base.trace(batch, sites, logits=False), tuned.trace(batch, sites, logits=False))
            for rows, batch in batches_by_length(behaviour.tokens, size)
        ]

    def run(self, model: Model, site: Site, chosen: Callable[[Tensor, Tensor], Tensor]) -> Array:
        """The behaviour with the site set to what `chosen` makes of the base's and the tuned model's output."""
        found = torch.empty(len(self._behaviour.tokens), dtype=torch.float64)
        for rows, batch, here, there in self._batches:
            value = chosen(here[site], there[site].to(here[site])).to(model.device)
            with model.intervene(Set(site, value)):
                found[rows] = self._behaviour.batch_scores(model, rows, batch)
        return self._behaviour.scoring.by_prompt(found.numpy())


def _shares(
    kind: str, names: list[str], places: Places, change: Change, draws: int, seed: int, progress: Progress
) -> tuple[Share, ...]:
    if not names:
        return ()
    rows = numpy_generator(seed, "prompts again").integers(len(change.base), size=(RESAMPLES, len(change.base)))
    exchanged: dict[str, tuple[Array, Array]] = {}
    random = np.empty((2, draws, len(names)))
    for place, name in enumerate(names):
        progress(f"exchanging {kind}: {name}", place, len(names))
        exchanged[name] = (places.inserted(name) - change.base, change.tuned - places.removed(name))
        for draw in range(draws):
            generator = torch_generator(seed, kind, name, draw)
            random[0, draw, place] = change.share(places.inserted_at_random(name, generator) - change.base)
            random[1, draw, place] = change.share(change.tuned - places.removed_at_random(name, generator))
    observed = np.array([[change.share(moved) for moved in exchanged[name]] for name in names]).T
    p_values = [max_t_p_values(found, drawn) for found, drawn in zip(observed, random, strict=True)]
    shares: list[Share] = []
    for place, name in enumerate(names):
        intervals = [change.interval(moved, rows) for moved in exchanged[name]]
        put_in, taken_out = (_null(random[way, :, place], p_values[way][place]) for way in range(2))
        inserted, removed = observed[:, place].tolist()
        shares.append(Share(name, kind, inserted, intervals[0], removed, intervals[1], put_in, taken_out))
    return tuple(shares)


def _null(draws: Array, p_value: float) -> Null:
    return Null("random signs", float(draws.mean()), float(draws.max()), len(draws), float(p_value))


def _like(weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the device and in the dtype of the other model."""
    return {name: value.to(others[name]) for name, value in weights.items()}
