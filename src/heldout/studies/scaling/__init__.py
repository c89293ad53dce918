"""How loss, learning coefficient, path length and circuit size change with the size of a model."""

from heldout.studies.scaling.exponents import Exponent
from heldout.studies.scaling.findings import ScalingStudy
from heldout.studies.scaling.measured import MeasuredModel
from heldout.studies.scaling.reading import QUANTITIES, Reading
from heldout.studies.scaling.study import scaling

__all__ = ["QUANTITIES", "Exponent", "MeasuredModel", "Reading", "ScalingStudy", "scaling"]
