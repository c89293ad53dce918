"""The prompts of a suite as the measurements read them: each with its answer, and with another prompt beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from heldout.data import Sample, Suite
from heldout.errors import InputError, Problem
from heldout.models import Model, TokenLogits, Tokens
from heldout.seeds import torch_generator
from heldout.shapes import Int
from heldout.techniques.pairs import TokenPairs
from heldout.techniques.path_length import Labelled
from heldout.techniques.path_length.labelled import labelled_of

FEWEST_PAIRS = 2
"""Of a half."""


class Halves(NamedTuple):
    """Pairs to find a circuit on, and pairs of other prompts to judge it on."""

    found_on: TokenPairs
    judged_on: TokenPairs


def graded_samples(suite: Suite, count: int, seed: int) -> tuple[Sample, ...]:
    """At most `count` samples whose answer is known, drawn by the seed; their order in the suite makes no difference.

    Raises InputError for a suite that is not answered by a token, and where fewer than eight have a target."""
    known = [sample for sample in suite.samples if sample.target is not None]
    graded = sorted(known, key=lambda sample: sample.id)
    if suite.answer == "tokens" or len(graded) < 8:
        found = f"{len(graded)} samples with a target, answered by {suite.answer!r}"
        expected = "eight samples or more with a target of one token"
        raise InputError(f"the suite {suite.name!r}", Problem(found, expected, "give a suite with verified samples"))
    order = torch.randperm(len(graded), generator=torch_generator(seed, "prompts", len(graded)))
    return tuple(graded[place] for place in sorted(order[:count].tolist()))


def labelled(model: Model, samples: Sequence[Sample]) -> Labelled:
    return labelled_of(model, samples, "scaling")


def counterfactual_pairs(data: Labelled, seed: int) -> Halves | None:
    """Each prompt beside another one of its half, of as many tokens and another answer; the metric is the logit of its own
    answer less that of the other's. No prompt of one half is in the other, on either side of a pair. None where fewer
    than two prompts of a half find another."""
    generator = torch_generator(seed, "counterfactual pairs", len(data))
    first, second = (pairs_within(data, rows, generator) for rows in halves_of(data.tokens, generator))
    return None if first is None or second is None else Halves(first, second)


def halves_of(tokens: Tokens, generator: torch.Generator) -> tuple[Int[Tensor, " some"], Int[Tensor, " others"]]:
    """Rows of one half of the prompts, and of the other; prompts that read the same are one prompt."""
    read = [tuple(ids[mask.bool()].tolist()) for ids, mask in zip(tokens.ids, tokens.mask, strict=True)]
    number = {prompt: place for place, prompt in enumerate(dict.fromkeys(read))}
    chosen = torch.randperm(len(number), generator=generator) < len(number) // 2
    in_first = chosen[torch.tensor([number[prompt] for prompt in read], dtype=torch.long)]
    return in_first.nonzero().flatten(), (~in_first).nonzero().flatten()


def pairs_within(data: Labelled, rows: Int[Tensor, " some"], generator: torch.Generator) -> TokenPairs | None:
    """Both prompts of each pair are among `rows`."""
    lengths, answers = data.tokens.mask[rows].sum(dim=1), data.targets[rows, 0]
    fits = (lengths[:, None] == lengths) & (answers[:, None] != answers)
    paired = fits.any(dim=1).nonzero().flatten()
    if len(paired) < FEWEST_PAIRS:
        return None
    others = torch.multinomial(fits[paired].double(), 1, generator=generator).flatten()
    metric = TokenLogits.difference(answers[paired], answers[others])
    return TokenPairs(data.tokens[rows[paired]], data.tokens[rows[others]], metric).trimmed()
