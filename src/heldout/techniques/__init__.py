"""Systematised methods: each takes a model, data and settings, and returns frozen `Result`s."""

from heldout.techniques.patching import ActivationPatching, MeanDifference, MeanDifferenceFitter
from heldout.techniques.probes import AnswerReadout, AnswerReadoutFitter, ReadoutSweep
from heldout.techniques.technique import Technique

__all__ = [
    "ActivationPatching",
    "AnswerReadout",
    "AnswerReadoutFitter",
    "MeanDifference",
    "MeanDifferenceFitter",
    "ReadoutSweep",
    "Technique",
]
