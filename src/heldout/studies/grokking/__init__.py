"""Grokking: how a model that learns to add modulo p comes to generalise, measured along its training."""

from heldout.studies.change_points import Division, divide
from heldout.studies.grokking.findings import GrokkingRun, GrokkingStudy
from heldout.studies.grokking.key_frequencies import key_frequencies
from heldout.studies.grokking.measures import FrequencyMeasures, ProgressMeasures, measures_of
from heldout.studies.grokking.phases import LossCurves, PhaseSpan, phases
from heldout.studies.grokking.recipe import Recipe
from heldout.studies.grokking.study import grokking_of_training, grokking_of_weights
from heldout.studies.grokking.subspaces import (
    Subspace,
    SubspaceLosses,
    excluded_loss,
    full_loss,
    mean_activation,
    restricted_loss,
    subspace_losses,
)
from heldout.studies.grokking.task import ModularAddition

__all__ = [
    "Division",
    "FrequencyMeasures",
    "GrokkingRun",
    "GrokkingStudy",
    "LossCurves",
    "ModularAddition",
    "PhaseSpan",
    "ProgressMeasures",
    "Recipe",
    "Subspace",
    "SubspaceLosses",
    "divide",
    "excluded_loss",
    "full_loss",
    "grokking_of_training",
    "grokking_of_weights",
    "key_frequencies",
    "mean_activation",
    "measures_of",
    "phases",
    "restricted_loss",
    "subspace_losses",
]
