"""Interventions that put one activation in the place of another."""

from heldout.techniques.patching.activation_patching import ActivationPatching
from heldout.techniques.patching.mean_difference import MeanDifference, MeanDifferenceFitter

__all__ = ["ActivationPatching", "MeanDifference", "MeanDifferenceFitter"]
