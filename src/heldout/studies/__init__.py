"""Studies: what many finished audits say together. They read stored results; no model is run."""

from heldout.studies.figure_one.findings import FigureOne
from heldout.studies.figure_one.study import figure_1

__all__ = ["FigureOne", "figure_1"]
