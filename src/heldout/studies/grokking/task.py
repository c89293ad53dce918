"""Modular addition: a prompt for each pair of numbers, and the pairs that a model is trained on."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import final

import torch
from torch import Tensor

from heldout.errors import Problems
from heldout.models import Tokens
from heldout.seeds import torch_generator
from heldout.shapes import Bool, Int
from heldout.techniques.path_length import Labelled

LEAST_MODULUS = 5


@final
@dataclass(frozen=True)
class ModularAddition:
    """`a b =` → (a + b) mod p for every pair, the token of `=` being p. Pairs are in the order of a · p + b.

    A `fraction` of the pairs is trained on: the first of them in an order that Python's `random` shuffles with `seed`,
    as the code of arXiv 2301.05217 does. Raises InputError for a modulus that is not odd (its Fourier basis has an
    alternating term that frequencies do not count), and where either part would be empty."""

    modulus: int
    fraction: float
    seed: int

    def __post_init__(self) -> None:
        problems = Problems(f"ModularAddition({self.modulus}, fraction={self.fraction}, seed={self.seed})")
        if self.modulus < LEAST_MODULUS or self.modulus % 2 == 0:
            found = f"modulus {self.modulus}"
            problems.add(found, f"an odd number, {LEAST_MODULUS} or more", "take a prime, like 53 or 113")
        if not 1 <= int(self.fraction * self.modulus**2) < self.modulus**2:
            problems.add(f"fraction {self.fraction}", "a share of pairs between 0 and 1", "0.3 leaves 70 % to test on")
        problems.raise_if_any()

    @cached_property
    def pairs(self) -> Int[Tensor, "pair 2"]:
        numbers = torch.arange(self.modulus)
        return torch.cartesian_prod(numbers, numbers)

    @cached_property
    def sums(self) -> Int[Tensor, " pair"]:
        return self.pairs.sum(dim=1) % self.modulus

    @cached_property
    def trained(self) -> Bool[Tensor, " pair"]:
        """Which pairs are trained on."""
        order = list(product(range(self.modulus), repeat=2))
        random.Random(self.seed).shuffle(order)
        first = torch.tensor(order[: int(self.fraction * len(order))])
        chosen = torch.zeros(len(order), dtype=torch.bool)
        chosen[first[:, 0] * self.modulus + first[:, 1]] = True
        return chosen

    @cached_property
    def tokens(self) -> Tokens:
        equals = torch.full((len(self.pairs), 1), self.modulus)
        return Tokens.from_ids(torch.cat([self.pairs, equals], dim=1))

    @cached_property
    def labelled(self) -> Labelled:
        """Every prompt with its sum; the token of `=` is no answer."""
        return Labelled(self.tokens, self.sums.unsqueeze(1), answers=torch.arange(self.modulus))

    def sample(self, count: int) -> Labelled:
        """At most `count` of the prompts, drawn at random."""
        order = torch.randperm(len(self.pairs), generator=torch_generator(self.seed, "pairs", count))[:count]
        return Labelled(self.tokens[order], self.labelled.targets[order], answers=self.labelled.answers)
