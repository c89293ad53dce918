"""Latents of a crosscoder of both models: which of them the fine-tune alone has (arXiv 2504.02922)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from heldout.execution.result import Null
from heldout.models import Model, Site
from heldout.studies.diff.activation_lens import middle_layers, written
from heldout.studies.diff.pairing import Pairing
from heldout.studies.diff.prompts import Prompts
from heldout.techniques.dictionaries import CrosscoderComparison, CrosscoderDiff, CrosscoderFindings, TokenRows
from heldout.techniques.dictionaries.technique import identical_null

TOKENS = 6
LATENTS = 8


@final
@dataclass(frozen=True)
class ExclusiveLatent:
    """A latent that one model alone has: in how many rows it is active, and on which tokens it is largest."""

    latent: int
    active: int
    tokens: tuple[str, ...]


@final
@dataclass(frozen=True)
class LatentReading:
    """What a crosscoder at `site` found on `rows` tokens that it was not trained on. `in_base`, `in_tuned`: how many latents
    are of one model alone; `explained`: the share of the variance of each."""

    site: str
    rows: int
    shared: int
    in_base: int
    in_tuned: int
    explained: tuple[float, ...]
    exclusive: tuple[ExclusiveLatent, ...]
    nulls: tuple[Null, ...]


def latent_reading(
    pairing: Pairing, sources: Sequence[Prompts], seed: int, comparison: CrosscoderComparison | None = None
) -> LatentReading:
    """At the middle layer, on every token of the prompts. Raises InputError for too few tokens."""
    site = Site("resid_post", middle_layers(pairing.base.n_layers)[0])
    technique = CrosscoderDiff([site], pairing.tuned, comparison=comparison or CrosscoderComparison(), seed=seed)
    tokens = pairing.base.tokenize([text for source in sources for text in source.texts])
    found = technique.findings(pairing.base, tokens)[site]
    rows = TokenRows.of(tokens, None)
    here, there = (rows.read(model, tokens, [site])[site] for model in (pairing.base, pairing.tuned))
    codes = found.crosscoder.codes((here, there))
    ids = tokens.ids.cpu()[rows.chosen]
    exclusive = tuple(_latent(pairing.base, found, latent, codes, ids) for latent in found.of_class("only B")[:LATENTS])
    counts = found.counts
    return LatentReading(
        str(site), found.latents.rows, counts["shared"], counts["only A"], counts["only B"], found.latents.explained,
        exclusive, identical_null(counts["only B"], found.calibration.exclusive_in_identical),
    )  # fmt: skip


def _latent(
    model: Model, found: CrosscoderFindings, latent: int, codes: torch.Tensor, ids: torch.Tensor
) -> ExclusiveLatent:
    """The tokens by their mean code."""
    sums = torch.zeros(model.vocabulary_size).index_add(0, ids, codes[:, latent].float().cpu())
    counts = torch.zeros(model.vocabulary_size).index_add(0, ids, torch.ones(len(ids)))
    means = sums / counts.clamp_min(1)
    ranked = [token for token in means.argsort(descending=True).tolist()[:TOKENS] if means[token] > 0]
    return ExclusiveLatent(latent, int(found.latents.active[latent]), tuple(written(model, token) for token in ranked))
