"""Exponents with which measurements grow or shrink with model size."""

from heldout.techniques.scaling.power_law import Form, PowerLaw
from heldout.techniques.scaling.scaling import Scaling, ScalingFit

__all__ = ["Form", "PowerLaw", "Scaling", "ScalingFit"]
