"""Which templates and cues only the test split sees."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from heldout.data.grouping import Cell, Unit, cell_of
from heldout.data.samples import Role, Sample
from heldout.data.templates import template_of
from heldout.seeds import derived_seed

FEWEST_VALUES = 4
"""With fewer templates (or cues) in a behaviour and role, holding some out would leave too few to fit on."""

LARGEST_TEST_SHARE = 0.6
"""Nothing is held out that would take more of any behaviour and role than this into the test split."""

ATTRIBUTES: dict[str, Callable[[Sample], str | None]] = {"template": template_of, "cue": lambda sample: sample.cue}


@dataclass(frozen=True)
class HeldOut:
    """The names of the units that go to the test split because they have a held-out template or cue.

    `complete` is False where a behaviour and role has enough templates or cues, and yet none could be held out.
    """

    test: frozenset[str]
    complete: bool


def hold_out(units: Sequence[Unit], test_shares: Mapping[Role, float], seed: int) -> HeldOut:
    """Chooses what only the test split sees.

    In each behaviour and role, templates (then cues) are taken in random order as long as each brings the share of the
    test split nearer to `test_shares`; at least one is taken if that is possible. Where both are held out, templates
    are given half of the share.
    """
    state = _Holding(units)
    complete = True
    for cell in sorted(state.total):
        values = {name: state.values(cell, name) for name in ATTRIBUTES}
        ample = [name for name in ATTRIBUTES if len(values[name]) >= FEWEST_VALUES]
        for step, name in enumerate(ample, 1):
            order = sorted(values[name], key=lambda value: derived_seed(seed, "hold out", *cell, name, value))
            complete &= state.hold_out(cell, name, order, test_shares[cell[1]] * step / len(ample))
    return HeldOut(frozenset(state.test), complete)


def well_held_out(units: Sequence[Unit], test: frozenset[str], test_shares: Mapping[Role, float]) -> frozenset[Cell]:
    """The cells whose held-out samples are enough of a test by themselves: at least half of the share asked for."""
    total: Counter[Cell] = Counter()
    held: Counter[Cell] = Counter()
    for unit in units:
        total += unit.count()
        if unit.name in test:
            held += unit.count()
    return frozenset(cell for cell in total if held[cell] >= test_shares[cell[1]] / 2 * total[cell])


@dataclass
class _Holding:
    """The units taken into the test split so far, and how much of each cell that is."""

    units: Sequence[Unit]
    test: set[str] = field(default_factory=set[str])
    held: Counter[Cell] = field(default_factory=Counter[Cell])

    def __post_init__(self) -> None:
        self.total: Counter[Cell] = Counter()
        self.with_value: dict[tuple[str, str], list[Unit]] = defaultdict(list)
        self.seen_in: dict[tuple[Cell, str], set[str]] = defaultdict(set)
        for unit in self.units:
            self.total += unit.count()
            for name, attribute in ATTRIBUTES.items():
                values = {
                    (cell_of(sample), value) for sample in unit.samples if (value := attribute(sample)) is not None
                }
                for value in {value for _, value in values}:
                    self.with_value[name, value].append(unit)
                for cell, value in values:
                    self.seen_in[cell, name].add(value)

    def values(self, cell: Cell, attribute: str) -> set[str]:
        return self.seen_in[cell, attribute]

    def is_held(self, attribute: str, value: str) -> bool:
        return all(unit.name in self.test for unit in self.with_value[attribute, value])

    def hold_out(self, cell: Cell, attribute: str, values: Iterable[str], share: float) -> bool:
        """Takes values in turn, and says whether any is now in the test split alone."""
        none_yet = not any(self.is_held(attribute, value) for value in self.values(cell, attribute))
        for value in values:
            new = [unit for unit in self.with_value[attribute, value] if unit.name not in self.test]
            after: Counter[Cell] = sum((unit.count() for unit in new), Counter(self.held))
            if any(after[each] > LARGEST_TEST_SHARE * self.total[each] for each in after):
                continue
            wanted = share * self.total[cell]
            if new and (none_yet or abs(after[cell] - wanted) < abs(self.held[cell] - wanted)):
                self.test.update(unit.name for unit in new)
                self.held = after
                none_yet = False
        return not none_yet


def describe(parts: Mapping[str, Sequence[Sample]]) -> tuple[str, ...]:
    """What is in the test split alone, for each behaviour, role and attribute; read off the finished splits."""
    cells = sorted({cell_of(sample) for part in parts.values() for sample in part})
    return tuple(_describe(parts, cell, name) for cell in cells for name in ATTRIBUTES)


def _describe(parts: Mapping[str, Sequence[Sample]], cell: Cell, name: str) -> str:
    attribute = ATTRIBUTES[name]
    here = [sample for part in parts.values() for sample in part if cell_of(sample) == cell]
    derived = name == "template" and all(sample.template is None for sample in here)
    place = f"{cell[0]}, {cell[1]}, {name}s{' (derived from the prompts)' if derived else ''}"
    values = {value for sample in here if (value := attribute(sample)) is not None}
    seen = {attribute(sample) for split, part in parts.items() if split != "test" for sample in part}
    tested = [attribute(sample) for sample in parts["test"] if cell_of(sample) == cell]
    if not values:
        return f"{place}: none are named, nothing to hold out"
    if len(values) == 1:
        return f"{place}: one for all samples, nothing to hold out"
    if len(values) == len(here):
        return f"{place}: each sample has one of its own, so that those of the test split are new"
    unseen = values - seen
    if not unseen:
        why = (
            f"fewer than {FEWEST_VALUES}"
            if len(values) < FEWEST_VALUES
            else "each would take too much into the test split"
        )
        return f"{place}: none of {len(values)} held out, {why}"
    count = sum(value in unseen for value in tested)
    return f"{place}: {len(unseen)} of {len(values)} in the test split alone, with {count} of its {len(tested)} samples"
