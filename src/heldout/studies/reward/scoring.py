"""What the study reads of a model: the score of every text, and the stream at a text's last token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heldout.errors import InputError, Problem
from heldout.models import Model, Site, batch_size
from heldout.models.batching import batches_by_length
from heldout.models.scores import scored, text_tokens
from heldout.shapes import Float
from heldout.studies.reward.pairs import Pair

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Scores:
    """Scores by text."""

    by_text: Mapping[str, float]

    def of(self, texts: Sequence[str]) -> Array:
        return np.array([self.by_text[text] for text in texts], dtype=np.float64)

    def differences(self, pairs: Sequence[Pair]) -> Array:
        """The score of `more` less that of `less`."""
        return self.of([pair.more for pair in pairs]) - self.of([pair.less for pair in pairs])


def scores_of(model: Model, texts: Sequence[str]) -> Scores:
    """Of every text once; one forward pass each. Raises InputError for scores that are not finite, or all the same."""
    texts = list(dict.fromkeys(texts))
    values = scored(model, texts)
    if bool((values == values[0]).all()):
        found, expected = f"the score {float(values[0]):g} for all {len(texts)} texts", "scores that depend on the text"
        next_step = "check that the checkpoint is whole: such a model rewards nothing"
        raise InputError(f"scores_of({model.name!r}, {len(texts)} texts)", Problem(found, expected, next_step))
    return Scores(dict(zip(texts, values.tolist(), strict=True)))


@final
@dataclass(frozen=True)
class Place:
    """A site at each text's last token, or at every token."""

    site: Site
    everywhere: bool

    def __str__(self) -> str:
        return f"{self.site}, {'every token' if self.everywhere else 'last token'}"


def streams_at(model: Model, texts: Sequence[str], place: Place) -> Float[Tensor, "text d_model"]:
    """The stream at each text's last token, or its sum over all of a text's tokens."""
    tokens = text_tokens(model, texts)
    found = torch.empty(len(texts), model.d_model)
    for rows, part in batches_by_length(tokens, batch_size(model, tokens.length, kept_per_token=model.d_model)):
        positions = None if place.everywhere else -1
        stream = model.trace(part, [place.site], positions=positions, logits=False)[place.site].float()
        mask = part.mask.to(stream) if place.everywhere else stream.new_ones(len(part), 1)
        found[rows] = (stream * mask[..., None]).sum(dim=1).cpu()
    return found


def stream_differences(model: Model, pairs: Sequence[Pair], place: Place) -> Float[Tensor, "pair d_model"]:
    """That of `more` less that of `less`, for a unit of the feature."""
    streams = streams_at(model, [text for pair in pairs for text in (pair.more, pair.less)], place)
    return (streams[0::2] - streams[1::2]) / torch.tensor([pair.amount for pair in pairs])[:, None]
