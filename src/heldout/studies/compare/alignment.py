"""Debiased CKA between all sites of all models, with one set of permutations for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from heldout.errors import InputError, Problem
from heldout.models import Site
from heldout.statistics import max_t_p_values, permutation_p_value
from heldout.studies.compare.readings import Reading
from heldout.techniques.representation_comparison import BiasedCKA, DebiasedCKA, PrincipalComponents
from heldout.techniques.representation_comparison.comparison import row_orders
from heldout.techniques.representation_comparison.pairwise import Pairwise
from heldout.techniques.representation_comparison.robustness import LEAST_REST, Removals, Rest, changed
from heldout.techniques.representation_comparison.technique import value_of

Array = NDArray[np.float64]
Pair = tuple[str, str]
BLOCK = 16
"""Permutations that are multiplied at a time."""
BIASED_OUTLIERS = "outliers in the biased estimate"


@final
@dataclass(frozen=True, eq=False)
class Aligned:
    """One site of one model, prepared for alignment."""

    components: PrincipalComponents
    debiased: Pairwise
    biased: Pairwise
    headless: Pairwise | None
    """Without the first principal component; None where nothing else is."""

    @classmethod
    def of(cls, components: PrincipalComponents) -> Aligned:
        rest = components.without_first(1)
        headless = None if rest.constant else DebiasedCKA().side(rest)
        return cls(components, DebiasedCKA().side(components), BiasedCKA().side(components), headless)


@final
@dataclass(frozen=True)
class Cell:
    """Two sites held against each other. `p_value` is corrected for the number of cells between the two models."""

    model: str
    site: str
    other: str
    other_site: str
    debiased: float
    p_value: float
    without_first_component: float | None
    without_outliers: float | None
    biased: float
    biased_chance: float
    """What the biased estimate is on average over all orders of the prompts."""
    biased_without_outliers: float | None
    outliers: tuple[int, ...]
    flags: tuple[str, ...]


@final
@dataclass(frozen=True)
class Likeness:
    """Two models as a whole: the mean over sites at equal depth, and its place among permuted items."""

    model: str
    other: str
    value: float
    p_value: float
    sites: int
    flagged: int


@final
@dataclass(frozen=True)
class Alignment:
    """Everything by debiased CKA, pair by pair."""

    cells: tuple[Cell, ...]
    likenesses: tuple[Likeness, ...]


Sides = Mapping[Site, Aligned]


def prepare(readings: Sequence[Reading]) -> dict[str, Sides]:
    """By model and site; a site at which all items are the same is left out. Raises InputError where that leaves none."""
    sides: dict[str, Sides] = {}
    for reading in readings:
        components = {site: PrincipalComponents.of(values.numpy()) for site, values in reading.activations.items()}
        sides[reading.label] = {site: Aligned.of(each) for site, each in components.items() if not each.constant}
    empty = [reading.name for reading in readings if not sides[reading.label]]
    if empty:
        found = f"the same activations for every prompt at all sites of {', '.join(empty)}"
        next_step = "choose later sites, or the mean over tokens"
        raise InputError("compare", Problem(found, "sites at which the prompts differ", next_step))
    return sides


def align(sides: Mapping[str, Sides], pairs: Sequence[Pair], permutations: int, seed: int) -> Alignment:
    """Cells and likeness of each pair of models."""
    draws = permuted_values(sides, pairs, permutations, seed)
    cells: list[Cell] = []
    likenesses: list[Likeness] = []
    for model, other in pairs:
        values, unrelated = pair_values(sides[model], sides[other]), draws[model, other]
        p_values = max_t_p_values(values.ravel(), unrelated.reshape(len(unrelated), -1)).reshape(values.shape)
        grid = pair_cells(model, other, sides, values, p_values)
        cells += grid.values()
        likenesses.append(likeness(model, other, sides, values, unrelated, grid))
    return Alignment(tuple(cells), tuple(likenesses))


def pair_values(one: Sides, other: Sides) -> Array:
    """Debiased CKA [site, site]."""
    return np.clip(stacked(one) @ stacked(other).T, -1.0, 1.0)


def permuted_values(
    sides: Mapping[str, Sides], pairs: Sequence[Pair], permutations: int, seed: int
) -> dict[Pair, Array]:
    """The same under permutations of the second model's items, [draw, site, site]: in one draw the order is the same at
    every site. Each site is permuted once for all the models that it is held against."""
    stacks = {model: stacked(sides[model]) for model in dict.fromkeys(model for model, _ in pairs)}
    draws = {(one, two): np.empty((permutations, len(sides[one]), len(sides[two]))) for one, two in pairs}
    for other in dict.fromkeys(other for _, other in pairs):
        models = [model for model, against in pairs if against == other]
        for column, side in enumerate(sides[other].values()):
            orders = row_orders(len(side.debiased), permutations, seed)
            for start in range(0, permutations, BLOCK):
                block = orders[start : start + BLOCK]
                permuted = np.stack([side.debiased.values[np.ix_(order, order)].ravel() for order in block], axis=1)
                for model in models:
                    draws[model, other][start : start + len(block), :, column] = (stacks[model] @ permuted).T
    return draws


def stacked(sides: Sides) -> Array:
    """[site, item × item]."""
    return np.stack([side.debiased.values.ravel() for side in sides.values()])


def pair_cells(
    model: str, other: str, sides: Mapping[str, Sides], values: Array, p_values: Array
) -> dict[tuple[Site, Site], Cell]:
    return {
        (site, there): cell((model, site, one), (other, there, two), float(values[i, j]), float(p_values[i, j]))
        for i, (site, one) in enumerate(sides[model].items())
        for j, (there, two) in enumerate(sides[other].items())
    }


def cell(one: tuple[str, Site, Aligned], other: tuple[str, Site, Aligned], value: float, p_value: float) -> Cell:
    (model, site, first), (name, there, second) = one, other
    far_out = first.components.outlying | second.components.outlying
    headless = None if first.headless is None or second.headless is None else rest_of(first.headless, second.headless)
    removed = Removals(
        without_first_component=headless,
        first_shares=(first.components.first_share, second.components.first_share),
        without_outliers=rest_without(first.debiased, second.debiased, far_out),
        outliers=tuple(np.flatnonzero(far_out).tolist()),
    )
    biased, biased_rest = rest_of(first.biased, second.biased), rest_without(first.biased, second.biased, far_out)
    deceived = biased_rest is not None and changed(biased.value - biased.chance, biased_rest.value - biased_rest.chance)
    return Cell(
        model=model,
        site=str(site),
        other=name,
        other_site=str(there),
        debiased=value,
        p_value=p_value,
        without_first_component=value_of(headless),
        without_outliers=value_of(removed.without_outliers),
        biased=biased.value,
        biased_chance=biased.chance,
        biased_without_outliers=value_of(biased_rest),
        outliers=removed.outliers,
        flags=(*removed.flags(DebiasedCKA(), value, np.zeros(0)), *((BIASED_OUTLIERS,) if deceived else ())),
    )


def rest_of(one: Pairwise, other: Pairwise) -> Rest:
    """The agreement, and its mean over all permutations P of ⟨A, P B Pᵀ⟩: as the rows of A and B sum to 0, that is
    tr A tr B / (n − 1), and 0 without a diagonal."""
    chance = float(np.trace(one.values) * np.trace(other.values) / (len(one) - 1))
    return Rest(one.agreement(other), chance)


def rest_without(one: Pairwise, other: Pairwise, gone: NDArray[np.bool_]) -> Rest | None:
    """Without some items; None where too few are left."""
    kept = np.flatnonzero(~gone)
    if len(kept) < LEAST_REST:
        return None
    return rest_of(one.chosen(kept), other.chosen(kept)) if gone.any() else rest_of(one, other)


def likeness(
    model: str,
    other: str,
    sides: Mapping[str, Sides],
    values: Array,
    draws: Array,
    grid: Mapping[tuple[Site, Site], Cell],
) -> Likeness:
    one, two = list(sides[model]), list(sides[other])
    matched = equal_depth(one, two)
    rows, columns = [one.index(site) for site, _ in matched], [two.index(site) for _, site in matched]
    mean, unrelated = float(values[rows, columns].mean()), draws[:, rows, columns].mean(axis=1)
    flagged = sum(bool(grid[pair].flags) for pair in matched)
    return Likeness(model, other, mean, permutation_p_value(mean, unrelated), len(matched), flagged)


def equal_depth(one: Sequence[Site], other: Sequence[Site]) -> list[tuple[Site, Site]]:
    """The sites of one model with those of the other that are as deep: the same where both have the same, else by the
    place among the sites of that name."""
    if set(one) == set(other):
        return [(site, site) for site in one]
    pairs: list[tuple[Site, Site]] = []
    for name in dict.fromkeys(site.name for site in one):
        here, there = ([site for site in sites if site.name == name] for sites in (one, other))
        if there:
            last = max(len(here) - 1, 1)
            pairs += [(site, there[round(place * (len(there) - 1) / last)]) for place, site in enumerate(here)]
    return pairs or list(zip(one, other, strict=False))


def pairs_of(readings: Sequence[Reading]) -> list[Pair]:
    """Each model with itself, with every later one, and with every untrained one."""
    trained = [reading.label for reading in readings if reading.trained]
    untrained = [reading.label for reading in readings if not reading.trained]
    return [(one, other) for place, one in enumerate(trained) for other in (*trained[place:], *untrained)]


def json_of(record: Any) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(record).items()}
