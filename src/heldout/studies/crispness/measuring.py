"""One model, latent by latent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from heldout.execution.result import Null
from heldout.models import Model, Site
from heldout.studies.crispness.borders import Borders, borders
from heldout.studies.crispness.decoding import (
    Decoded,
    decode,
    decode_bag,
    decoding_nulls,
    group_interval,
    selectivity,
)
from heldout.studies.crispness.dimensions import dimensions
from heldout.studies.crispness.findings import LatentFinding, corrected
from heldout.studies.crispness.pairs import TextPairs, text_pairs
from heldout.studies.crispness.reading import LatentTexts, read_texts, stream_sites
from heldout.studies.crispness.texts import TextSet
from heldout.studies.crispness.using import causal_use

Told = Callable[[str], None]
"""Is told each time something is done."""


@final
@dataclass(frozen=True)
class Effort:
    """Random directions of a causal test, pairs of each kind in it, and untrained twins."""

    draws: int = 39
    pairs: int = 24
    twins: int = 2
    twin_draws: int = 19


@final
@dataclass(frozen=True, eq=False)
class Read:
    """A model's texts, and what a readout makes of each latent."""

    model: Model
    texts: Mapping[str, LatentTexts]
    decoded: Mapping[str, Decoded]


def read_model(model: Model, text_set: TextSet, told: Told) -> Read:
    texts: dict[str, LatentTexts] = {}
    for latent in text_set.latents:
        texts[latent] = read_texts(model, text_set.of(latent), stream_sites(model))
        told(f"{model.name}: read {latent}")
    return Read(model, texts, {latent: decode(each.streams, each) for latent, each in texts.items()})


def findings_of(read: Read, twins: Sequence[Read], effort: Effort, seed: int, told: Told) -> tuple[LatentFinding, ...]:
    """Every latent of one model. Without twins (for a twin itself) the untrained null is left out."""
    found: list[LatentFinding] = []
    for latent in read.texts:
        found.append(finding_of(latent, read, [twin.decoded[latent] for twin in twins], effort, seed))
        told(f"{read.model.name}: measured {latent}")
    p_values = corrected([max(null.p_value or 0.0 for null in each.nulls) for each in found])
    used = corrected([each.use.flip.p_value for each in found])
    return tuple(
        replace(each, p_value=p_value, used_p_value=use)
        for each, p_value, use in zip(found, p_values, used, strict=True)
    )


def finding_of(latent: str, read: Read, twins: Sequence[Decoded], effort: Effort, seed: int) -> LatentFinding:
    texts, decoded = read.texts[latent], read.decoded[latent]
    test = texts.rows("test")
    streams = texts.streams[decoded.site]
    pairs = text_pairs(texts, effort.pairs, seed)
    size = dimensions(streams, texts, seed)
    return LatentFinding(
        latent=latent,
        values=texts.values,
        model=read.model.name,
        trained=bool(twins),
        site=str(decoded.site),
        first_site=str(decoded.first_site),
        n=len(test),
        accuracy=decoded.accuracy,
        interval=group_interval(decoded.right.astype(float), [texts.texts[row].group for row in test], seed),
        chance=size.chance,
        nulls=nulls_of(decoded, twins, texts, seed),
        selectivity=selectivity(streams, texts, seed),
        dimensions=size,
        use=causal_use(read.model, decoded.site, texts, pairs, seed, effort.draws if twins else effort.twin_draws),
        borders=borders_at(read.model, decoded.site, texts, pairs, seed),
        by_site={str(site): value for site, value in decoded.by_site.items()},
    )


def nulls_of(decoded: Decoded, twins: Sequence[Decoded], texts: LatentTexts, seed: int) -> tuple[Null, ...]:
    words, labels = decode_bag(texts), texts.labels[texts.rows("test")]
    if twins:
        return decoding_nulls(decoded, twins, words, labels, seed)
    return tuple(
        null for null in decoding_nulls(decoded, [decoded], words, labels, seed) if null.name != "untrained twin"
    )


def borders_at(model: Model, site: Site, texts: LatentTexts, pairs: TextPairs, seed: int) -> Borders | None:
    """Of the first MLP behind the site; None where layers have no one MLP."""
    if model.d_mlp is None or "mlp_post" in model.missing_sites:
        return None
    layer = 0 if site.name == "resid_pre" else min((site.layer or 0) + 1, model.n_layers - 1)
    return borders(model, layer, texts, pairs, seed)
