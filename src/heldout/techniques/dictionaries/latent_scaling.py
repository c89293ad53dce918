"""How much of each latent there is in each model, by least squares on activations: not by the norm it was trained to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from heldout.techniques.dictionaries.crosscoder import Crosscoder

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ONE_SIDED = 0.2
"""A latent is one-sided whose norm in one model is below this share of that in the other: a relative norm below 0.1 or above
0.9 in the paper's terms. It may be exclusive, or the half of one whose other half is another latent."""
RIDGE = 1e-6


@final
@dataclass(frozen=True, eq=False)
class LatentScaling:
    """What there is of each latent in the model in which its norm is smaller, over what there is in the other, in four ways
    [latent]: 1 for a latent that both models have alike, 0 for an exclusive one, nan for one that was never active.

    `norm` is of the decoder's norms. `error` is ν^ε of Minder et al. 2025: the multiple of the latent's direction that best
    explains what the other latents leave over. It shows complete shrinkage, a part that was not reconstructed.
    `reconstruction` is ν^r: the same of the reconstruction. It shows decoupling, a part that other latents reconstruct. Both
    are along the direction in the larger model, and nan where the models' widths differ.

    `counterpart` needs no common direction: the model in which a latent is smaller is regressed on the codes of all latents,
    but for the one-sided ones of that model, which may stand in for the one in question; the other model likewise, but for
    the one-sided ones of the former. The size of a latent's coefficients is the inner product of those of two halves of the
    rows, so that noise adds nothing on average; its root keeps the sign.

    All regressions have an intercept."""

    norm: Array
    error: Array
    reconstruction: Array
    counterpart: Array

    @classmethod
    def of(cls, crosscoder: Crosscoder, activations: Sequence[Any]) -> Self:
        """Of two models' activations [row, feature], which should be others than those of the training."""
        rows = _Rows.of(crosscoder, activations)
        error, reconstruction = rows.along_directions()
        return cls(rows.norm_ratios, error, reconstruction, rows.counterparts())

    @property
    def one_sided(self) -> Mask:
        """Whether the norms alone would call a latent exclusive."""
        return self.norm < ONE_SIDED

    @property
    def ratios(self) -> Array:
        """Those by least squares [ratio, latent]; the counterpart alone where widths differ. A latent's part in a model is
        a positive one: negative ratios come of overlapping directions and of noise."""
        along = () if np.isnan(self.error).all() else (self.error, self.reconstruction)
        return np.array([*along, self.counterpart])

    @property
    def presence(self) -> Array:
        """The largest ratio by least squares: near 0 only where nothing of the latent is found in the other model."""
        return self.ratios.max(axis=0)


@final
@dataclass(frozen=True, eq=False)
class _Rows:
    """Centred codes [row, latent], and for both models activations [row, feature] and decoders [latent, feature]."""

    codes: Array
    activations: tuple[Array, Array]
    decoders: tuple[Array, Array]

    @classmethod
    def of(cls, crosscoder: Crosscoder, activations: Sequence[Any]) -> Self:
        a, b = map(_centred, crosscoder.standardised(activations))
        one, other = (side.decoder.double().numpy() for side in crosscoder.sides)
        return cls(_centred(crosscoder.codes(activations)), (a, b), (one, other))

    @property
    def norms(self) -> Array:
        return np.array([np.linalg.norm(decoder, axis=1) for decoder in self.decoders])

    @property
    def norm_ratios(self) -> Array:
        return np.where(self.alive, ratio(self.norms.min(axis=0), self.norms.max(axis=0)), np.nan)

    @property
    def alive(self) -> Mask:
        return (self.codes**2).sum(axis=0) > 0

    @property
    def larger_in_b(self) -> Mask:
        return self.norms[1] > self.norms[0]

    def along_directions(self) -> tuple[Array, Array]:
        """ν^ε and ν^r."""
        nowhere = np.full(len(self.alive), np.nan)
        if self.decoders[0].shape != self.decoders[1].shape:
            return nowhere, nowhere
        directions = np.where(self.larger_in_b[:, None], self.decoders[1], self.decoders[0])
        reconstructions = [self.codes @ decoder for decoder in self.decoders]
        errors = [x - guess for x, guess in zip(self.activations, reconstructions, strict=True)]
        own = np.array([_inner(decoder, directions) for decoder in self.decoders]) / _inner(directions, directions)
        of_errors = np.array([self._multiples(error, directions) for error in errors]) + own
        of_reconstructions = np.array([self._multiples(guess, directions) for guess in reconstructions])
        return self._of_smaller(of_errors), self._of_smaller(of_reconstructions)

    def _multiples(self, target: Array, directions: Array) -> Array:
        """β_j = Σ f_j ⟨d_j, y⟩ / Σ f_j² ‖d_j‖²: the least squares of β_j f_j d_j on the target y."""
        squares = (self.codes**2).sum(axis=0) * _inner(directions, directions)
        return ratio(_inner(self.codes.T @ target, directions), squares)

    def counterparts(self) -> Array:
        """Of the coefficients without a fixed direction, as signed roots of squared sizes."""
        sizes = np.empty((2, len(self.alive)))
        one_sided = self.norm_ratios < ONE_SIDED
        for model, larger_here in enumerate((~self.larger_in_b, self.larger_in_b)):
            as_larger = self._squared_sizes(model, self.alive & ~(one_sided & ~larger_here))
            as_smaller = self._squared_sizes(model, self.alive & ~(one_sided & larger_here))
            sizes[model] = np.where(larger_here, as_larger, as_smaller)
        squares = self._of_smaller(sizes)
        return np.sign(squares) * np.sqrt(np.abs(squares))

    def _squared_sizes(self, model: int, regressors: Mask) -> Array:
        first, second = (self._coefficients(model, regressors, half) for half in (0, 1))
        sizes = np.full(len(regressors), np.nan)
        sizes[regressors] = _inner(first, second)
        return sizes

    def _coefficients(self, model: int, regressors: Mask, half: int) -> Array:
        codes = self.codes[half::2, regressors]
        gram = codes.T @ codes
        gram += RIDGE * np.trace(gram) / max(1, len(gram)) * np.eye(len(gram))
        return np.linalg.solve(gram, codes.T @ self.activations[model][half::2])

    def _of_smaller(self, values: Array) -> Array:
        """Values [model, latent] of the model in which a latent is smaller, over those of the other."""
        smaller, larger = np.where(self.larger_in_b, values, values[::-1])
        return np.where(self.alive, ratio(smaller, larger), np.nan)


def ratio(numerators: Array, denominators: Array) -> Array:
    """nan where there is nothing to divide by."""
    return np.divide(numerators, denominators, out=np.full(len(numerators), np.nan), where=denominators > 0)


def _centred(values: Tensor) -> Array:
    rows = values.double().numpy()
    return rows - rows.mean(axis=0)


def _inner(first: Array, second: Array) -> Array:
    return (first * second).sum(axis=1)
