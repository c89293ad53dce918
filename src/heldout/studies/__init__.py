"""Studies, the validation set: what training, tuning or a claim about models comes to inside.

Each is a package with a function of its name (`heldout.studies.compare.compare`, say). `figure_1` reads stored audits and
runs no model, so it is imported here.
"""

from heldout.studies.figure_one.findings import FigureOne
from heldout.studies.figure_one.study import figure_1

__all__ = ["FigureOne", "figure_1"]
