"""The streams of texts: one vector a text at each depth of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heldout.models import Model, Site, Tokens, batches_by_length
from heldout.models.sentence_encoders import mean_pooled
from heldout.models.sites import evenly
from heldout.shapes import Float, Int
from heldout.studies.crispness.texts import LabelledText, Part
from heldout.techniques.probes import bag_of_tokens

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int_]
Labels = NDArray[np.str_]

SITES = 9
BATCH = 64


@final
@dataclass(frozen=True, eq=False)
class LatentTexts:
    """The texts of one latent as a model's tokens, with their streams (mean over tokens in an encoder, last token in a
    causal model) at every site, text × width."""

    texts: tuple[LabelledText, ...]
    tokens: Tokens
    streams: dict[Site, Array]

    @property
    def labels(self) -> Labels:
        return np.array([text.value for text in self.texts])

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.labels.tolist())))

    def rows(self, part: Part) -> Rows:
        """The numbers of the texts of one part."""
        return np.flatnonzero([text.part == part for text in self.texts])

    def groups(self, part: Part) -> tuple[str, ...]:
        return tuple(text.group for text in self.texts if text.part == part)

    def bag(self) -> Array:
        """How often each token stands in each text."""
        vocabulary = torch.unique(self.tokens.ids[self.tokens.mask.bool()])
        return bag_of_tokens(self.tokens.ids, self.tokens.mask, vocabulary).double().numpy()


def stream_sites(model: Model, most: int = SITES) -> list[Site]:
    """The embedding and the stream after layers, spread evenly."""
    layers = evenly(range(model.n_layers), most - 1)
    return [Site("resid_pre", 0), *(Site("resid_post", layer) for layer in layers)]


def pooled(
    model: Model, stream: Float[Tensor, "batch position d_model"], mask: Int[Tensor, "batch position"]
) -> Float[Tensor, "batch d_model"]:
    """One vector a text: the mean over its tokens in an encoder, the last token in a causal model."""
    return stream[:, -1] if model.architecture.causal else mean_pooled(stream, mask)


def read_texts(model: Model, texts: Sequence[LabelledText], sites: Sequence[Site]) -> LatentTexts:
    """Raises InputError as `Model.tokenize` and `Model.trace` do."""
    tokens = model.tokenize([text.text for text in texts])
    streams = {site: np.empty((len(texts), model.d_model)) for site in sites}
    for rows, part in batches_by_length(tokens, BATCH):
        trace = model.trace(part, sites, logits=False)
        for site in sites:
            streams[site][rows.numpy()] = pooled(model, trace[site], part.mask).double().cpu().numpy()
    return LatentTexts(tuple(texts), tokens, streams)
