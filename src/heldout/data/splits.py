"""Four disjoint splits without leakage; the test split holds templates and cues that the others never saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from heldout.data.fractions import DEFAULT_FRACTIONS, Fractions
from heldout.data.grouping import Unit, cell_of, connected, largest_counts, same_question, same_template
from heldout.data.holding_out import describe, hold_out, well_held_out
from heldout.data.samples import Role, Sample, of_role
from heldout.data.sharing_out import share_out
from heldout.errors import InputError, Problem


@dataclass(frozen=True)
class Splits:
    """Four disjoint parts of some samples, each in the order of the ids.

    `held_out` says for each behaviour and role which templates and cues are in the test split alone, or why none are.
    """

    fit: tuple[Sample, ...]
    select: tuple[Sample, ...]
    calibrate: tuple[Sample, ...]
    test: tuple[Sample, ...]
    held_out: tuple[str, ...] = ()

    def parts(self) -> dict[str, tuple[Sample, ...]]:
        return {"fit": self.fit, "select": self.select, "calibrate": self.calibrate, "test": self.test}

    def of_role(self, role: Role) -> Splits:
        """The same splits with the samples of one role."""
        return Splits(*(of_role(part, role) for part in self.parts().values()), held_out=self.held_out)

    def ids(self) -> dict[str, list[str]]:
        """The ids of each part, for the plan of an audit."""
        return {name: [sample.id for sample in part] for name, part in self.parts().items()}


def split_samples(
    samples: Sequence[Sample], seed: int, fractions: Mapping[Role, Fractions] = DEFAULT_FRACTIONS
) -> Splits:
    """Splits samples four ways; the same samples and seed give the same splits, in whatever order the samples come.

    Samples of a pair and samples with the same input stay together. Where a behaviour and role have at least four
    templates or cues, some of them are in the test split alone; where templates are small, and no cue would have to be
    given up for it, each template is whole in one of the four splits. For the rest, the shares of each role and of each
    cue within it come as close to `fractions` as whole units allow. Raises InputError where ids are not unique.
    """
    _refuse_repeated_ids(samples)
    test_shares: dict[Role, float] = {role: each.test for role, each in fractions.items()}
    units = connected(samples, same_template)
    held = hold_out(units, test_shares, seed)
    if not held.complete or not _small_enough(units, samples, fractions):
        units = connected(samples, same_question)
        held = hold_out(units, test_shares, seed)
    closed = well_held_out(units, held.test, test_shares)
    parts = share_out(units, held.test, closed, fractions, seed)
    ordered = {name: tuple(sorted(part, key=lambda sample: sample.id)) for name, part in parts.items()}
    return Splits(**ordered, held_out=describe(ordered))


def _small_enough(units: Sequence[Unit], samples: Sequence[Sample], fractions: Mapping[Role, Fractions]) -> bool:
    """Whether no unit holds more of a behaviour and role than the smallest split is to have."""
    total, largest = Counter(cell_of(sample) for sample in samples), largest_counts(units)
    return all(largest[cell] <= max(1, min(fractions[cell[1]].shares().values()) * total[cell]) for cell in total)


def _refuse_repeated_ids(samples: Iterable[Sample]) -> None:
    repeated = [name for name, count in Counter(sample.id for sample in samples).items() if count > 1]
    if repeated:
        raise InputError(
            "split_samples(samples)",
            Problem(
                f"ids that stand more than once: {', '.join(map(repr, sorted(repeated)[:5]))}",
                "samples with ids of their own",
                "pass every sample once",
            ),
        )
