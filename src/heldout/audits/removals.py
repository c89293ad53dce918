"""Interventions that could take a conditional mechanism out of a forward pass, each with random counterparts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from heldout.audits.answering import Answering
from heldout.audits.prompts import Answers
from heldout.models import Add, Model, Site, Tokens
from heldout.seeds import torch_generator
from heldout.shapes import Float
from heldout.techniques import MeanDifference


class Removal(Protocol):
    """Changes a forward pass at one site so that something conditional drops out of it."""

    @property
    def name(self) -> str: ...

    @property
    def site(self) -> Site: ...

    def answers(self, model: Model, tokens: Tokens, answering: Answering) -> Answers:
        """The model's answers [item] with the removal in force."""
        ...

    def random_like(self, seed: int, index: int) -> Removal:
        """The same intervention along a random direction, as large at each position."""
        ...


@dataclass(frozen=True, eq=False)
class DifferenceRemoval:
    """Takes the mean difference between the examined and the trusted prompts out of the stream, at every position."""

    difference: MeanDifference
    name: str = "mean difference"

    @property
    def site(self) -> Site:
        return self.difference.site

    def answers(self, model: Model, tokens: Tokens, answering: Answering) -> Answers:
        with model.intervene(self.difference.removal(tokens.length)):
            return answering(model, tokens)

    def random_like(self, seed: int, index: int) -> DifferenceRemoval:
        return DifferenceRemoval(self.difference.random_like(seed, index), "random direction")


@dataclass(frozen=True, eq=False)
class EarlyExit:
    """Reads the answer off the stream at a site with the model's own final norm and unembedding, skipping what follows.

    Source: the logit lens (nostalgebraist 2020). `later_norm` is the mean size of what the skipped layers add to the
    last position; a random counterpart adds a direction of that size there, and lets the later layers run.
    """

    site: Site
    later_norm: float
    name: str = "early exit"

    def answers(self, model: Model, tokens: Tokens, answering: Answering) -> Answers:
        parts: list[Answers] = []
        for batch in answering.batches(model, tokens):
            stream = model.trace(batch, [self.site], positions=(-1,), logits=False)[self.site][:, -1]
            with torch.no_grad():
                parts.append(answering.from_logits(model, model.unembed(stream)))
        return np.concatenate(parts)

    def random_like(self, seed: int, index: int) -> RandomPush:
        return RandomPush(self.site, self.later_norm, seed, index)


@dataclass(frozen=True, eq=False)
class RandomPush:
    """Adds one random direction of a given norm to the last position."""

    site: Site
    norm: float
    seed: int
    index: int
    name: str = "random direction"

    def answers(self, model: Model, tokens: Tokens, answering: Answering) -> Answers:
        with model.intervene(Add(self.site, self._vector(model.d_model), positions=(-1,))):
            return answering(model, tokens)

    def random_like(self, seed: int, index: int) -> RandomPush:
        return RandomPush(self.site, self.norm, seed, index)

    def _vector(self, width: int) -> Float[Tensor, " d_model"]:
        generator = torch_generator(self.seed, "random push", str(self.site), self.index)
        noise = torch.randn(width, generator=generator)
        return self.norm * noise / noise.norm()


def counterpart(removal: Removal) -> str:
    """What a removal's random counterparts are called."""
    return "exchange within the role" if removal.name == "exchange of context" else "random directions"


def difference_removals(differences: Mapping[Site, MeanDifference]) -> list[Removal]:
    """Sites where the two groups have the same mean have no difference to remove."""
    return [DifferenceRemoval(difference) for difference in differences.values() if difference.norm > 1e-6]


def early_exits(later_norms: Mapping[Site, float]) -> list[Removal]:
    """The last site has nothing after it to skip."""
    return [EarlyExit(site, norm) for site, norm in later_norms.items() if norm > 0]
