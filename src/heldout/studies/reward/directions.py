"""Features as directions of the stream: what a unit of a feature adds to it, and how to read each beside the others.

Source of the readers: the dual basis of the directions (least squares). Taking a feature's part away along its own
direction, as its reader finds it, leaves the mean of every other feature where it is; an orthogonal projection would take
of each what it shares with the direction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, final

import torch
from torch import Tensor

from heldout.models import Model
from heldout.shapes import Float
from heldout.studies.reward.pairs import QUALITY, PairSet
from heldout.studies.reward.scoring import Place, stream_differences, streams_at


@final
@dataclass(frozen=True, eq=False)
class FeatureDirections:
    """`directions[f]` is the mean difference that a unit of feature f makes at `place`, over the fit pairs; `readers[f]`
    gives 1 on it and 0 on the others. `centre` is the mean stream of the fit texts at their last token, and zero where
    every token is meant: what is summed over tokens is not to grow with their number."""

    place: Place
    features: tuple[str, ...]
    directions: Float[Tensor, "feature d_model"]
    readers: Float[Tensor, "feature d_model"]
    centre: Float[Tensor, " d_model"]
    strength: float = 1.0
    """How much of a feature's part is taken out; above 1 it is reversed, which later layers can need."""

    @classmethod
    def of(cls, place: Place, features: tuple[str, ...], directions: Tensor, centre: Tensor) -> Self:
        return cls(place, features, directions, torch.linalg.pinv(directions).T, centre)

    def units(self, streams: Float[Tensor, "... d_model"]) -> Float[Tensor, "... feature"]:
        """How many units of each feature a difference of streams holds, jointly by least squares."""
        return streams @ self.readers.T

    def without(self, feature: str, streams: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """The streams with the feature's part, as its reader finds it, taken out along its direction."""
        place = self.features.index(feature)
        units = self.strength * ((streams - self.centre) @ self.readers[place])
        return streams - units[..., None] * self.directions[place]

    def with_random(self, feature: str, generator: torch.Generator) -> FeatureDirections:
        """The same with a random direction of the same length in place of the feature's."""
        place = self.features.index(feature)
        drawn = torch.randn(self.directions.shape[1], generator=generator)
        directions = self.directions.clone()
        directions[place] = drawn / drawn.norm() * self.directions[place].norm()
        return replace(self, directions=directions, readers=torch.linalg.pinv(directions).T)


def fitted(model: Model, pairs: PairSet, place: Place) -> FeatureDirections:
    """The directions of quality and every feature, from the fit pairs alone."""
    features = (QUALITY, *pairs.features)
    own = {feature: pairs.of(feature, "fit") for feature in features}
    directions = torch.stack([stream_differences(model, own[feature], place).mean(dim=0) for feature in features])
    centre = torch.zeros(model.d_model)
    if not place.everywhere:
        texts = [text for each in own.values() for pair in each for text in (pair.more, pair.less)]
        centre = streams_at(model, list(dict.fromkeys(texts)), place).mean(dim=0)
    return FeatureDirections.of(place, features, directions, centre)
