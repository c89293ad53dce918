"""A training run, stretch by stretch: what the model does, what can be read of it, and which parts carry it."""

from heldout.studies.trajectory.courses import Course, Curve, CurveName, Failed
from heldout.studies.trajectory.findings import TrajectoryStudy
from heldout.studies.trajectory.order import Onsets, Order
from heldout.studies.trajectory.phases import Boundary, Phases
from heldout.studies.trajectory.study import trajectory

__all__ = [
    "Boundary",
    "Course",
    "Curve",
    "CurveName",
    "Failed",
    "Onsets",
    "Order",
    "Phases",
    "TrajectoryStudy",
    "trajectory",
]
