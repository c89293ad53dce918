"""The four readings of one model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from heldout.data import Suite
from heldout.execution.threads import one_thread_if_small
from heldout.models import Checkpoint, Model
from heldout.studies.scaling.circuit_size import circuit_size
from heldout.studies.scaling.prompts import counterfactual_pairs, graded_samples, labelled
from heldout.studies.scaling.reading import Reading
from heldout.studies.scaling.sizes import non_embedding_names, non_embedding_parameters
from heldout.techniques.learning_coefficient import LearningCoefficient, Sampling, own_outputs, token_loss
from heldout.techniques.path_length import Labelled, PathLength


@final
@dataclass(frozen=True)
class ReadingsOn:
    """The readings of a model on the prompts of `suite`."""

    suite: Suite

    def measure(
        self,
        model: Model,
        checkpoint: Checkpoint,
        *,
        suite_digest: str,
        prompts: int,
        faithful: float,
        coefficient: Mapping[str, Any],
        seed: int,
    ) -> dict[str, Any]:
        """For `measure_along`: the size of a model, and its readings. `coefficient` are the settings of
        `coefficient_reading`; the digest of the suite is there because cells are kept under what the suite holds, and not
        under where it lies."""
        del checkpoint, suite_digest
        data = labelled(model, graded_samples(self.suite, prompts, seed))
        with one_thread_if_small(model.n_parameters):
            readings = (
                loss_reading(model, data, seed),
                coefficient_reading(model, data, seed=seed, **coefficient),
                path_length_reading(model, data, seed),
                circuit_size(model, counterfactual_pairs(data, seed), faithful, seed),
            )
        return {
            "parameters": model.n_parameters,
            "non_embedding": non_embedding_parameters(model),
            "readings": [reading.to_json() for reading in readings],
        }


def loss_reading(model: Model, data: Labelled, seed: int) -> Reading:
    """Mean cross-entropy of the right answers. The null is an untrained model of the shape."""
    untrained = token_loss(model.randomly_initialised(seed), data).loss_at_point
    return Reading("loss", token_loss(model, data).loss_at_point, null=untrained)


def path_length_reading(model: Model, data: Labelled, seed: int) -> Reading:
    """The mean over prompts of the smallest number of sublayers after one another that has the whole model's loss."""
    results = PathLength(lesions=0, shuffles=0, seed=seed).run(model, data)
    length = next(result for result in results if result.quantity == "effective_path_length")
    null = next(null.mean for null in length.nulls)
    return Reading("path_length", length.effect, null=null, details={"interval": list(length.interval or ())})


def coefficient_reading(
    model: Model,
    data: Labelled,
    *,
    n_betas: list[float],
    localisation: float,
    sampling: Mapping[str, Any],
    parameters: list[str] | None,
    prompts: int,
    seed: int,
) -> Reading:
    """The learning coefficient of the divergence from the model's own outputs on the first `prompts`, over `parameters`
    (None: all that are no embeddings). The null is a regular model of as many parameters."""
    chosen = parameters if parameters is not None else non_embedding_names(model)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")  # of a part of vmap's, not of all
        landscape = own_outputs(model, data.rows(slice(prompts)), parameters=chosen, together=True)
        technique = LearningCoefficient(tuple(n_betas), localisation, Sampling(**sampling), seed=seed)
        estimate = technique.measure(landscape)
    details: dict[str, Any] = {
        "interval": list(estimate.interval or ()),
        "gradient_evaluations": estimate.gradient_evaluations,
        "levels": [level.to_json() for level in estimate.levels],
    }
    return Reading("learning_coefficient", estimate.value, estimate.refused, len(landscape) / 2, details)
