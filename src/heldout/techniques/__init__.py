"""Systematised methods: each takes a model, data and settings, and returns frozen `Result`s."""

from heldout.techniques.attribution import GIM, AttributionPatching, InputTimesGradient, IntegratedGradients, RelP
from heldout.techniques.circuits import ACDC, EdgeAttributionPatching, EdgePatching
from heldout.techniques.learning_coefficient import LearningCoefficient
from heldout.techniques.patching import (
    Ablation,
    ActivationPatching,
    DistributedAlignmentSearch,
    InterchangeIntervention,
    MeanDifference,
    MeanDifferenceFitter,
    PathPatching,
)
from heldout.techniques.path_decomposition import (
    CompositionScores,
    CopyingScores,
    DirectLogitAttribution,
    PathExpansion,
)
from heldout.techniques.path_length import PathLength
from heldout.techniques.polytopes import PolytopeBoundaries
from heldout.techniques.probes import AnswerReadout, AnswerReadoutFitter, ReadoutSweep
from heldout.techniques.representation_comparison import RepresentationComparison
from heldout.techniques.scaling import Scaling
from heldout.techniques.technique import Technique

__all__ = [
    "ACDC",
    "GIM",
    "Ablation",
    "ActivationPatching",
    "AnswerReadout",
    "AnswerReadoutFitter",
    "AttributionPatching",
    "CompositionScores",
    "CopyingScores",
    "DirectLogitAttribution",
    "DistributedAlignmentSearch",
    "EdgeAttributionPatching",
    "EdgePatching",
    "InputTimesGradient",
    "IntegratedGradients",
    "InterchangeIntervention",
    "LearningCoefficient",
    "MeanDifference",
    "MeanDifferenceFitter",
    "PathExpansion",
    "PathLength",
    "PathPatching",
    "PolytopeBoundaries",
    "ReadoutSweep",
    "RelP",
    "RepresentationComparison",
    "Scaling",
    "Technique",
]
