"""Paired activations of two models whose dictionaries are known: what a crosscoder of them has to find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from heldout.seeds import numpy_generator

Array = NDArray[np.float64]
KINDS = ("shared", "rotated", "weak in A", "weak in B", "only A", "only B")


@final
@dataclass(frozen=True)
class PlantedDictionary:
    """How many atoms of each kind there are, and how their codes are drawn.

    Shared atoms have one direction in both models; rotated ones another in each; weak ones are in one model at 0.1 to 0.5 of
    their size in the other; exclusive ones are in one model alone. An atom is active in `density` of the rows, with codes
    from 0.5 to 1.5. `correlated` of the atoms are active mostly where one partner each is (correlation `correlation`)."""

    shared: int = 24
    rotated: int = 4
    weak: int = 6
    exclusive: int = 6
    widths: tuple[int, int] = (32, 32)
    density: float = 0.08
    noise: float = 0.1
    correlated: float = 0.25
    correlation: float = 0.5

    def draw(self, rows: int, seed: int) -> PlantedPair:
        generator = numpy_generator(seed, "planted dictionary")
        counts = (self.shared, self.rotated, self.weak, self.weak, self.exclusive, self.exclusive)
        kinds = tuple(kind for kind, count in zip(KINDS, counts, strict=True) for _ in range(count))
        atoms_a, atoms_b = self._atoms(kinds, generator)
        codes = self._codes(rows, len(kinds), generator)
        a = codes @ atoms_a + self.noise * generator.standard_normal((rows, self.widths[0]))
        b = codes @ atoms_b + self.noise * generator.standard_normal((rows, self.widths[1]))
        return PlantedPair(a, b, codes, atoms_a, atoms_b, kinds)

    def _atoms(self, kinds: tuple[str, ...], generator: np.random.Generator) -> tuple[Array, Array]:
        first, second = (unit(generator.standard_normal((len(kinds), width))) for width in self.widths)
        same = np.array([kind != "rotated" for kind in kinds])
        if self.widths[0] == self.widths[1]:
            second = np.where(same[:, None], first, second)
        scales = np.array([scales_of(kind, generator) for kind in kinds])
        return first * scales[:, :1], second * scales[:, 1:]

    def _codes(self, rows: int, atoms: int, generator: np.random.Generator) -> Array:
        active = generator.random((rows, atoms)) < self.density
        order = generator.permutation(atoms)
        pairs = int(self.correlated * atoms / 2)
        for follower, leader in zip(order[:pairs], order[pairs : 2 * pairs], strict=True):
            follows = generator.random(rows) < self.correlation
            active[:, follower] = np.where(follows, active[:, leader], active[:, follower])
        return active * generator.uniform(0.5, 1.5, size=(rows, atoms))


@final
@dataclass(frozen=True, eq=False)
class PlantedPair:
    """Activations [row, feature] of both models, and the truth: codes [row, atom], atoms [atom, feature], kinds."""

    a: Array
    b: Array
    codes: Array
    atoms_a: Array
    atoms_b: Array
    kinds: tuple[str, ...]

    def matches(self, codes: Any) -> tuple[NDArray[np.intp], Array]:
        """For each latent of codes [row, latent] the atom with whose codes its own correlate most, and how much."""
        found = np.asarray(codes, dtype=np.float64)
        standard = [(x - x.mean(axis=0)) / (x.std(axis=0) + 1e-12) for x in (found, self.codes)]
        correlations = standard[0].T @ standard[1] / len(found)
        return correlations.argmax(axis=1), correlations.max(axis=1)


def unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def scales_of(kind: str, generator: np.random.Generator) -> tuple[float, float]:
    """An atom's size in A and in B."""
    little = float(generator.uniform(0.1, 0.5))
    return {
        "shared": (1.0, 1.0),
        "rotated": (1.0, 1.0),
        "weak in A": (little, 1.0),
        "weak in B": (1.0, little),
        "only A": (1.0, 0.0),
        "only B": (0.0, 1.0),
    }[kind]
