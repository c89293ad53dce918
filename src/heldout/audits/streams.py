"""The residual stream of every prompt at the last positions, read once and kept within a memory budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from heldout.audits.answering import Answering
from heldout.audits.prompts import Answers, Prompts
from heldout.models import Model, Site
from heldout.shapes import Float
from heldout.techniques import MeanDifference, MeanDifferenceFitter


@dataclass(frozen=True, eq=False)
class Streams:
    """Answers to some prompts, and their stream at `positions` (from the end): site → [item, position, d_model]."""

    positions: tuple[int, ...]
    activations: Mapping[Site, Float[Tensor, "item position d_model"]]
    answers: Answers

    def at(self, site: Site, rows: Sequence[int] | None = None, position: int = -1) -> Float[Tensor, "item d_model"]:
        values = self.activations[site][:, self.positions.index(position)]
        return values if rows is None else values[torch.as_tensor(rows)]


def stream_sites(model: Model) -> list[Site]:
    """The stream from the embedding to the last layer as it is computed, with resid_mid where the family has it."""
    sites = [Site("resid_pre", 0)]
    for layer in range(model.n_layers):
        if "resid_mid" not in model.missing_sites:
            sites.append(Site("resid_mid", layer))
        sites.append(Site("resid_post", layer))
    return sites


def affordable_positions(model: Model, n_items: int, length: int, n_sites: int, memory_bytes: int) -> tuple[int, ...]:
    """As many last positions as half the budget can keep in float32, at least the last and at most sixteen."""
    per_position = 4 * n_items * n_sites * model.d_model
    count = min(length, 16, max(1, memory_bytes // 2 // per_position))
    return tuple(range(-count, 0))


def read_streams(
    model: Model, prompts: Prompts, answering: Answering, sites: Sequence[Site], positions: Sequence[int]
) -> Streams:
    """One pass over the prompts; the answers of the same pass come with it where an answer is one token."""
    kept = {site: [] for site in sites}
    answers: list[Answers] = []
    for batch in answering.batches(model, prompts.tokens, kept_per_token=len(sites) * model.d_model):
        trace = model.trace(batch, sites, positions=positions, logits=answering.one_token)
        for site in sites:
            kept[site].append(trace[site].to("cpu", torch.float32))
        answers.append(answering.from_logits(model, trace.logits) if answering.one_token else answering(model, batch))
    activations = {site: torch.cat(parts) for site, parts in kept.items()}
    return Streams(tuple(positions), activations, np.concatenate(answers))


def mean_differences(
    model: Model, first: Prompts, second: Prompts, answering: Answering, sites: Sequence[Site]
) -> dict[Site, MeanDifference]:
    """Mean over `first` minus mean over `second` at every site and position, gathered batch by batch."""
    fitters = {site: MeanDifferenceFitter(site) for site in sites}
    for prompts, is_first in ((first, True), (second, False)):
        for batch in answering.batches(model, prompts.tokens, kept_per_token=len(sites) * model.d_model):
            trace = model.trace(batch, sites, logits=False)
            for site in sites:
                fitters[site].update(trace[site], batch, first=is_first)
    return {site: fitter.fitted() for site, fitter in fitters.items()}
