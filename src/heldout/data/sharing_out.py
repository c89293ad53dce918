"""Which split each unit goes to: the one that still lacks its kind of samples most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from heldout.data.fractions import SPLITS, Fractions
from heldout.data.grouping import Cell, Unit, cell_of
from heldout.data.samples import Role, Sample
from heldout.seeds import derived_seed


class Stratum(NamedTuple):
    """Samples that are to be spread evenly: those of a behaviour and role, or of these those with one cue."""

    cell: Cell
    cue: str | None
    every_cue: bool


def strata_of(sample: Sample) -> tuple[Stratum, Stratum]:
    cell = cell_of(sample)
    return Stratum(cell, None, every_cue=True), Stratum(cell, sample.cue, every_cue=False)


def share_out(
    units: Sequence[Unit],
    test: frozenset[str],
    closed: frozenset[Cell],
    fractions: Mapping[Role, Fractions],
    seed: int,
) -> dict[str, list[Sample]]:
    """The samples of each split. The largest units are given out first, those of one size in random order.

    `test` names the units that are in the test split already; a unit with samples of a `closed` cell cannot join them.
    """
    parts: dict[str, list[Sample]] = {name: [] for name in SPLITS}
    parts["test"] = [sample for unit in units if unit.name in test for sample in unit.samples]
    lacking = _lacking(units, parts["test"], closed, fractions)
    rest = [unit for unit in units if unit.name not in test]
    for unit in sorted(rest, key=lambda unit: (-len(unit.samples), derived_seed(seed, "share out", unit.name))):
        strata = [stratum for sample in unit.samples for stratum in strata_of(sample)]
        is_closed = any(cell_of(sample) in closed for sample in unit.samples)
        allowed = SPLITS[:-1] if is_closed else SPLITS
        best = max(allowed, key=lambda name: sum(lacking[stratum][name] for stratum in strata))
        parts[best].extend(unit.samples)
        for stratum in strata:
            lacking[stratum][best] -= 1
    return parts


def _lacking(
    units: Iterable[Unit], in_test: Iterable[Sample], closed: frozenset[Cell], fractions: Mapping[Role, Fractions]
) -> dict[Stratum, dict[str, float]]:
    """How many samples of each stratum each split still lacks, once `in_test` are in the test split."""
    total = Counter(stratum for unit in units for sample in unit.samples for stratum in strata_of(sample))
    held = Counter(stratum for sample in in_test for stratum in strata_of(sample))
    lacking: dict[Stratum, dict[str, float]] = {}
    for stratum, count in total.items():
        _, role = stratum.cell
        shares = fractions[role].shares()
        test = held[stratum] if stratum.cell in closed else max(held[stratum], shares["test"] * count)
        rest = (count - test) / (1 - shares["test"])
        lacking[stratum] = {name: shares[name] * rest for name in SPLITS[:-1]} | {"test": test - held[stratum]}
    return lacking
