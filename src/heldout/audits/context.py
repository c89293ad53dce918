"""Exchange of context: another prompt's words wherever words do not change the answer, whatever form a cue takes there.

A mean difference removes a cue that is written along a direction. A cue that only a combination of words carries (an
exclusive or) may have no direction early on; but the words that carry it can be exchanged, together, for those of a
trusted prompt. The random counterpart exchanges them for those of another examined prompt, which leaves the cue as it
is. Source: resample ablation (Chan et al. 2022, causal scrubbing) restricted to positions that the answer does not
depend on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from heldout.audits.answering import Answering
from heldout.audits.prompts import Answers, Prompts
from heldout.models import Model, Set, Site, Tokens
from heldout.seeds import numpy_generator
from heldout.shapes import Float

if TYPE_CHECKING:
    from heldout.audits.examination import Examination

SITE = Site("resid_pre", 0)
UNCHANGED = 0.95
"""Positions may be exchanged if at least this share of trusted answers stays as it was."""
MOST_PROMPTS, MOST_POSITIONS, MOST_UNDECIDED = 64, 64, 8


@dataclass(frozen=True, eq=False)
class ContextExchange:
    """Gives prompts the embeddings of donors at `positions` (from the end); `own` are donors of the examined role."""

    positions: tuple[int, ...]
    donors: Float[Tensor, "donor position d_model"]
    own: Float[Tensor, "donor position d_model"]
    seed: int = 0
    name: str = "exchange of context"

    @property
    def site(self) -> Site:
        return SITE

    def answers(self, model: Model, tokens: Tokens, answering: Answering) -> Answers:
        chosen = numpy_generator(self.seed, "donors", len(tokens)).integers(0, len(self.donors), len(tokens))
        parts: list[Answers] = []
        done = 0
        for batch in answering.batches(model, tokens):
            given = self.donors[torch.from_numpy(chosen[done : done + len(batch)])]
            with model.intervene(Set(SITE, given, positions=self.positions)):
                parts.append(answering(model, batch))
            done += len(batch)
        return np.concatenate(parts)

    def random_like(self, seed: int, index: int) -> ContextExchange:
        return ContextExchange(self.positions, self.own, self.own, seed * 1000 + index + 1, "exchange within the role")


def context_exchange(examination: Examination) -> list[ContextExchange]:
    """The exchange of every position that the trusted answers do not depend on.

    Empty where there is none, where prompts have different lengths, or without a trusted role."""
    if examination.trusted_role is None:
        return []
    trusted, examined = examination.data.trusted.of_split("fit"), examination.prompts.of_split("fit")
    length = trusted.tokens.length
    equal = all(bool(each.tokens.mask.all()) and each.tokens.length == length for each in (trusted, examined))
    if not equal or length > MOST_POSITIONS:
        return []
    positions = indifferent_positions(examination)
    if not positions:
        return []
    donors, own = (embeddings(examination, prompts, positions) for prompts in (trusted, examined))
    return [ContextExchange(positions, donors, own, examination.subject.settings.seed)]


def embeddings(
    examination: Examination, prompts: Prompts, positions: Sequence[int]
) -> Float[Tensor, "item position d_model"]:
    answering, model = examination.subject.answering, examination.model
    batches = answering.batches(model, prompts.tokens)
    return torch.cat([model.trace(batch, [SITE], positions=positions, logits=False)[SITE] for batch in batches])


def indifferent_positions(examination: Examination) -> tuple[int, ...]:
    """Positions whose words can be exchanged between trusted prompts without changing answers.

    Tried one at a time, then in pairs and threes (a cue of several words cannot be exchanged in part), then all together."""
    prompts = examination.data.trusted
    rows = prompts.rows("select", "calibrate")[:MOST_PROMPTS]
    chosen, before = prompts.chosen(rows), examination.data.labels[rows]
    everywhere = tuple(range(-chosen.tokens.length, 0))
    stream = embeddings(examination, chosen, everywhere)
    order = torch.from_numpy(numpy_generator(examination.subject.settings.seed, "partners").permutation(len(rows)))

    def harmless(positions: Sequence[int]) -> bool:
        given = stream[order][:, [everywhere.index(position) for position in positions]]
        with examination.model.intervene(Set(SITE, given, positions=tuple(positions))):
            after = examination.subject.answering(examination.model, chosen.tokens)
        return float(np.mean(after == before)) >= UNCHANGED

    found = [position for position in everywhere if harmless([position])]
    undecided = [position for position in everywhere if position not in found]
    if len(undecided) <= MOST_UNDECIDED:
        groups = (group for size in (2, 3) for group in combinations(undecided, size))
        found += [position for group in groups if harmless(group) for position in group]
    together = tuple(sorted(set(found)))
    return together if together and harmless(together) else ()
