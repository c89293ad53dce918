"""A linear readout of the answer from an activation: multinomial logistic regression (Alain and Bengio 2016)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from heldout.shapes import Float

Array = NDArray[np.float64]
Answers = NDArray[np.str_]


@dataclass(frozen=True)
class AnswerReadout:
    """Decodes answers from activations [item, d_model]. `classes` are the answers that it knows.

    `centre` is the mean of the activations that it was fitted on. A readout that is carried to other inputs can be
    given the mean of those instead (`recentred`), which removes what all of them share, a cue for example, without any
    label.
    """

    weights: Array
    bias: Array
    centre: Array
    scale: Array
    classes: Answers
    n_fitted: int

    def __call__(self, activations: Float[Tensor, "item d_model"]) -> Answers:
        standardised = (as_array(activations) - self.centre) / self.scale
        return self.classes[(standardised @ self.weights.T + self.bias).argmax(axis=1)]

    def recentred(self, activations: Float[Tensor, "item d_model"]) -> AnswerReadout:
        """Centred on the mean of other activations, as far as their difference from the own centre is more than
        sampling noise.

        The difference δ, in standard deviations, is shrunk by 1 − d (1/n + 1/m) / |δ|², at least 0: the positive-part
        James–Stein estimate (Efron and Morris 1973) from n fitted and m other items in d dimensions."""
        values = as_array(activations)
        difference = values.mean(axis=0) - self.centre
        size = float(np.sum((difference / self.scale) ** 2))
        noise = len(difference) * (1 / self.n_fitted + 1 / len(values))
        kept = max(0.0, 1.0 - noise / size) if size > 0 else 0.0
        return replace(self, centre=self.centre + kept * difference)


@dataclass(frozen=True)
class AnswerReadoutFitter:
    """Fits an `AnswerReadout`. `inverse_penalty` is scikit-learn's C, on standardised activations."""

    inverse_penalty: float = 1.0
    iterations: int = 200

    def fit(self, activations: Float[Tensor, "item d_model"], answers: Sequence[str] | Answers) -> AnswerReadout:
        values = as_array(activations)
        centre = values.mean(axis=0)
        scale = values.std(axis=0) + 1e-6 * max(float(values.std()), 1e-12)
        labels = np.asarray(answers)
        classes = np.unique(labels)
        if len(classes) == 1:
            return AnswerReadout(np.zeros((1, values.shape[1])), np.zeros(1), centre, scale, classes, len(values))
        regression = LogisticRegression(C=self.inverse_penalty, max_iter=self.iterations, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            regression.fit((values - centre) / scale, labels)
        weights, bias = np.asarray(regression.coef_), np.asarray(regression.intercept_)
        if len(classes) == 2:
            weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
        return AnswerReadout(weights, bias, centre, scale, classes, len(values))


def bag_of_tokens(ids: Tensor, mask: Tensor, vocabulary: Tensor) -> Float[Tensor, "item word"]:
    """How often each id of `vocabulary` [word] stands in each prompt of `ids` [item, position]: no model is needed."""
    counts = [((ids == word) & mask.bool()).sum(dim=1) for word in vocabulary.tolist()]
    return torch.stack(counts, dim=1).float()


def as_array(activations: Tensor) -> Array:
    return activations.detach().to("cpu", torch.float64).numpy()
