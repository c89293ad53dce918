"""The top of the room: a crosscoder of two models, its null runs, and the classes of its latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from heldout.errors import Problems
from heldout.seeds import derived_seed, torch_generator
from heldout.shapes import Float
from heldout.techniques.dictionaries.calibration import Calibration, NullRuns
from heldout.techniques.dictionaries.findings import CrosscoderFindings
from heldout.techniques.dictionaries.latents import LEAST_ACTIVE, Latents
from heldout.techniques.dictionaries.side import rows_of
from heldout.techniques.dictionaries.sparsity import BatchTopK, Sparsity
from heldout.techniques.dictionaries.training import Training, train, train_together

Pair = tuple[Float[Tensor, "row feature"], Float[Tensor, "row feature"]]
LEAST_ROWS = 10 * LEAST_ACTIVE


@final
@dataclass(frozen=True)
class CrosscoderComparison:
    """Trains one dictionary on two sets of activations of the same tokens, and says which latents both have.

    `held_out` is the share of the rows (whole groups, where there are groups) that no crosscoder is trained on and on
    which everything is measured."""

    sparsity: Sparsity = field(default_factory=BatchTopK)
    training: Training = field(default_factory=Training)
    nulls: NullRuns = field(default_factory=NullRuns)
    held_out: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self.training, self.nulls, self.held_out)

    def compare(self, a: Any, b: Any, groups: Sequence[int] | None = None) -> CrosscoderFindings:
        """Of activations [row, feature] of A and of B, whose row i is the same token. `groups` are of the rows, such as the
        number of the prompt: rows of a group are alike and are held out together."""
        pair = rows_of(a), rows_of(b)
        check_rows("CrosscoderComparison.compare", pair, groups)
        chosen = held_out_rows(len(pair[0]), groups, self.held_out, self.seed)
        crosscoder = train(part(pair, ~chosen), self.sparsity, self.training, self.seed)
        return CrosscoderFindings(
            crosscoder=crosscoder,
            latents=Latents.of(crosscoder, part(pair, chosen)),
            calibration=self._calibration(pair, chosen),
            sparsity=self.sparsity.name,
            seed=self.seed,
        )

    def _calibration(self, pair: Pair, chosen: Tensor) -> Calibration:
        shuffled = [(pair[0], pair[1][self._order(chosen, number)]) for number in range(self.nulls.unrelated)]
        alike: list[Latents] = []
        for number, values in enumerate(pair):
            beside_itself = [(values, values)] * ((self.nulls.identical + 1 - number) // 2)
            alike += self._null_runs(beside_itself, chosen, f"identical {'AB'[number]}")
        return Calibration(self._null_runs(shuffled, chosen, "unrelated"), tuple(alike), self.nulls.level)

    def _order(self, chosen: Tensor, number: int) -> Tensor:
        """A random order of the rows, those held out among themselves."""
        order = torch.arange(len(chosen))
        for rows in (chosen.nonzero().flatten(), (~chosen).nonzero().flatten()):
            generator = torch_generator(self.seed, "unrelated rows", number, len(rows))
            order[rows] = rows[torch.randperm(len(rows), generator=generator)]
        return order

    def _null_runs(self, pairs: list[Pair], chosen: Tensor, name: str) -> tuple[Latents, ...]:
        if not pairs:
            return ()
        seeds = [derived_seed(self.seed, name, number) for number in range(len(pairs))]
        trained = train_together([part(pair, ~chosen) for pair in pairs], self.sparsity, self.training, seeds)
        return tuple(Latents.of(each, part(pair, chosen)) for each, pair in zip(trained, pairs, strict=True))


def part(pair: Pair, rows: Tensor) -> Pair:
    return pair[0][rows], pair[1][rows]


def held_out_rows(rows: int, groups: Sequence[int] | None, share: float, seed: int) -> Tensor:
    """Which rows are held out: a random share of the groups, or of the rows where each stands for itself."""
    numbers = np.arange(rows) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(numbers.max()) + 1
    order = torch.randperm(count, generator=torch_generator(seed, "held-out rows", count))
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[order[: max(1, round(share * count))]] = True
    return chosen[torch.as_tensor(numbers)]


def check_settings(training: Training, nulls: NullRuns, held_out: float) -> None:
    problems = Problems("CrosscoderComparison")
    if nulls.unrelated < 1:
        next_step = "pass NullRuns(unrelated=1) or more: two give steadier limits"
        problems.add(
            f"{nulls.unrelated} unrelated runs", "at least one, which sets the limits of the classes", next_step
        )
    if nulls.identical < 0:
        problems.add(f"{nulls.identical} identical runs", "none or more", "pass NullRuns(identical=0) to go without")
    for name, value in (("level", nulls.level), ("held_out", held_out)):
        if not 0 < value < 1:
            problems.add(f"{name}={value}", "a share between 0 and 1", "leave it out for the default")
    if min(training.latents, training.steps, training.rows) < 1:
        found = f"{training.latents} latents, {training.steps} steps, {training.rows} rows a batch"
        problems.add(found, "at least one of each", "leave them out for the defaults")
    problems.raise_if_any()


def check_rows(called: str, pair: Pair, groups: Sequence[int] | None) -> None:
    problems = Problems(called)
    sizes = [tuple(side.shape) for side in pair]
    if any(side.ndim != 2 for side in pair):
        problems.add(f"activations of the shapes {sizes[0]} and {sizes[1]}", "rows × features", "flatten the tokens")
    elif sizes[0][0] != sizes[1][0]:
        found = f"{sizes[0][0]} rows of A and {sizes[1][0]} of B"
        problems.add(
            found, "row i of both for the same token", "read both models on the same tokens, in the same order"
        )
    elif sizes[0][0] < LEAST_ROWS:
        problems.add(
            f"{sizes[0][0]} rows", f"at least {LEAST_ROWS}", "read more tokens: some thousands for each 64 latents"
        )
    else:
        for name, side in zip("AB", pair, strict=True):
            if not bool(side.isfinite().all()):
                problems.add(f"values of {name} that are not finite", "finite activations", "look at the model's dtype")
            elif bool((side == side[0]).all()):
                problems.add(f"the same activations in every row of {name}", "rows that differ", "choose a later site")
    if groups is not None and len(groups) != sizes[0][0]:
        problems.add(f"{len(groups)} groups for {sizes[0][0]} rows", "one for each row", "repeat each prompt's number")
    problems.raise_if_any()
