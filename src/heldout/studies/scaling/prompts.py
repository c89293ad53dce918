"""The prompts of a suite as the measurements read them: each with its answer, and with another prompt beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from heldout.data import Sample, Suite
from heldout.errors import InputError, Problem
from heldout.models import Model, TokenLogits
from heldout.seeds import torch_generator
from heldout.techniques.pairs import TokenPairs
from heldout.techniques.path_length import Labelled
from heldout.techniques.path_length.labelled import labelled_of


class Halves(NamedTuple):
    """Pairs to find a circuit on, and others to judge it on."""

    found_on: TokenPairs
    judged_on: TokenPairs


def graded_samples(suite: Suite, count: int, seed: int) -> tuple[Sample, ...]:
    """At most `count` samples whose answer is known, drawn by the seed.

    Raises InputError for a suite that is not answered by a token, and where fewer than eight have a target."""
    graded = [sample for sample in suite.samples if sample.target is not None]
    if suite.answer == "tokens" or len(graded) < 8:
        found = f"{len(graded)} samples with a target, answered by {suite.answer!r}"
        expected = "eight samples or more with a target of one token"
        raise InputError(f"the suite {suite.name!r}", Problem(found, expected, "give a suite with verified samples"))
    order = torch.randperm(len(graded), generator=torch_generator(seed, "prompts", len(graded)))
    return tuple(graded[place] for place in sorted(order[:count].tolist()))


def labelled(model: Model, samples: Sequence[Sample]) -> Labelled:
    return labelled_of(model, samples, "scaling")


def counterfactual_pairs(data: Labelled, seed: int) -> Halves | None:
    """Each prompt beside another one of as many tokens and another answer; the metric is the logit of its own answer
    less that of the other's. None where fewer than two on a side find one."""
    generator = torch_generator(seed, "counterfactual pairs", len(data))
    lengths, answers = data.tokens.mask.sum(dim=1), data.targets[:, 0]
    fits = (lengths[:, None] == lengths) & (answers[:, None] != answers)
    rows = fits.any(dim=1).nonzero().flatten()
    if len(rows) < 4:
        return None
    others = torch.multinomial(fits[rows].double(), 1, generator=generator).flatten()
    metric = TokenLogits.difference(answers[rows], answers[others])
    pairs = TokenPairs(data.tokens[rows], data.tokens[others], metric)
    order = torch.randperm(len(pairs), generator=generator)
    half = len(order) // 2
    return Halves(pairs[order[:half]].trimmed(), pairs[order[half:]].trimmed())
