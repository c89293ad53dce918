"""One model, latent by latent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import final

from heldout.errors import Problems
from heldout.execution.result import Null
from heldout.models import Model, Site
from heldout.statistics import holm
from heldout.studies.crispness.borders import Borders, borders
from heldout.studies.crispness.decoding import (
    UNTRAINED,
    Decoded,
    decode,
    decode_bag,
    decoding_nulls,
    group_interval,
    selectivity,
)
from heldout.studies.crispness.dimensions import dimensions
from heldout.studies.crispness.exchange import LEVEL, least_p_value
from heldout.studies.crispness.findings import LatentFinding
from heldout.studies.crispness.pairs import TextPairs, text_pairs
from heldout.studies.crispness.reading import LatentTexts, read_texts, stream_sites
from heldout.studies.crispness.texts import TextSet
from heldout.studies.crispness.using import causal_use

Told = Callable[[str], None]
"""Is told each time something is done."""
LEAST_PAIRS = 4


@final
@dataclass(frozen=True)
class Effort:
    """The draws of a causal test, in the model and in its twin (as many as the latents need, where none are given; an odd
    number is made even), pairs of each kind in it, and untrained twins."""

    draws: int | None = None
    pairs: int = 12
    twins: int = 2

    def resolved(self, called: str, latents: int) -> Effort:
        """With its draws. Raises InputError naming each number that is too small for so many latents."""
        problems = Problems(called)
        needed = draws_needed(latents)
        draws = needed if self.draws is None else self.draws
        if draws < needed:
            problems.add(
                f"draws = {draws} for {latents} latents",
                f"at least {needed}: with fewer, a latent that alone is used could not be found at {LEVEL:.0%}",
                "give more draws, or none, or ask for fewer latents",
            )
        if self.pairs < LEAST_PAIRS:
            problems.add(f"pairs = {self.pairs}", f"at least {LEAST_PAIRS} of each kind", "give more pairs")
        if self.twins < 1:
            expected = "at least 1: a readout of random weights is one of the nulls"
            problems.add(f"twins = {self.twins}", expected, "give at least one twin")
        problems.raise_if_any()
        return replace(self, draws=draws + draws % 2)


def draws_needed(latents: int, level: float = LEVEL) -> int:
    """So many that a move that beats every draw is found after correction, though no other latent's does."""
    return ceil(latents / level - 1e-9) - 1


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
    return over_latents(found)


def over_latents(found: Sequence[LatentFinding]) -> tuple[LatentFinding, ...]:
    """With p-values that are corrected over the latents, each kind of question for itself."""
    families = zip(
        holm([max(null.p_value or 0.0 for null in each.nulls) for each in found]),
        holm([each.use.flip.p_value for each in found]),
        holm([each.use.removal.p_value for each in found]),
        holm([1.0 if each.borders is None else each.borders.p_value for each in found]),
        strict=True,
    )
    return tuple(
        replace(each, p_value=read, used_p_value=used, removal_p_value=removal, border_p_value=border)
        for each, (read, used, removal, border) in zip(found, families, strict=True)
    )


def finding_of(latent: str, read: Read, twins: Sequence[Decoded], effort: Effort, seed: int) -> LatentFinding:
    texts, decoded = read.texts[latent], read.decoded[latent]
    groups = texts.groups("test")
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
        n=len(groups),
        groups=len(set(groups)),
        least_p_value=least_p_value(texts.labels[texts.rows("test")], groups),
        accuracy=decoded.accuracy,
        interval=group_interval(decoded.right.astype(float), groups, seed),
        chance=size.chance,
        nulls=nulls_of(decoded, twins, texts, groups, seed),
        selectivity=selectivity(streams, texts, seed),
        dimensions=size,
        use=causal_use(read.model, decoded.site, texts, pairs, seed, effort.draws or 0),
        borders=borders_at(read.model, decoded.site, texts, pairs, seed),
        by_site={str(site): value for site, value in decoded.by_site.items()},
    )


def nulls_of(
    decoded: Decoded, twins: Sequence[Decoded], texts: LatentTexts, groups: Sequence[str], seed: int
) -> tuple[Null, ...]:
    words, labels = decode_bag(texts), texts.labels[texts.rows("test")]
    if twins:
        return decoding_nulls(decoded, twins, words, labels, groups, seed)
    nulls = decoding_nulls(decoded, [decoded], words, labels, groups, seed)
    return tuple(null for null in nulls if null.name != UNTRAINED)


def borders_at(model: Model, site: Site, texts: LatentTexts, pairs: TextPairs, seed: int) -> Borders | None:
    """Of the first MLP behind the site; None where layers have no one MLP."""
    if model.d_mlp is None or "mlp_post" in model.missing_sites:
        return None
    layer = 0 if site.name == "resid_pre" else min((site.layer or 0) + 1, model.n_layers - 1)
    return borders(model, layer, texts, pairs, seed)
