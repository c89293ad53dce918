"""How alike are these models inside? Layer by layer, as a whole, and in the variables that people use."""

from heldout.studies.compare.findings import ModelComparison
from heldout.studies.compare.study import compare

__all__ = ["ModelComparison", "compare"]
