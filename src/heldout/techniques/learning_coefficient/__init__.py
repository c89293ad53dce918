"""The local learning coefficient: how fast the volume of low loss around a point shrinks, by a sampler without bias."""

from heldout.techniques.learning_coefficient.draws import Sampling
from heldout.techniques.learning_coefficient.estimate import Estimate
from heldout.techniques.learning_coefficient.landscape import Landscape
from heldout.techniques.learning_coefficient.learning_coefficient import LearningCoefficient
from heldout.techniques.learning_coefficient.level import Level
from heldout.techniques.learning_coefficient.model_landscape import own_outputs, token_loss
from heldout.techniques.learning_coefficient.module_landscape import FlatParameters, module_landscape
from heldout.techniques.learning_coefficient.plateau import Plateau
from heldout.techniques.learning_coefficient.requirements import Requirements

__all__ = [
    "Estimate",
    "FlatParameters",
    "Landscape",
    "LearningCoefficient",
    "Level",
    "Plateau",
    "Requirements",
    "Sampling",
    "module_landscape",
    "own_outputs",
    "token_loss",
]
