"""The checkpoints of one training run or scale series: opened, hashed, chosen, written, measured along."""

from heldout.models.checkpoints.checkpoint import Axis, Checkpoint
from heldout.models.checkpoints.hub import Hub, HuggingFaceHub
from heldout.models.checkpoints.measuring import Cell, CellsFailed, measure_along
from heldout.models.checkpoints.selection import log_spaced_steps
from heldout.models.checkpoints.suite import CheckpointSuite
from heldout.models.checkpoints.writer import CheckpointWriter

__all__ = [
    "Axis",
    "Cell",
    "CellsFailed",
    "Checkpoint",
    "CheckpointSuite",
    "CheckpointWriter",
    "Hub",
    "HuggingFaceHub",
    "log_spaced_steps",
    "measure_along",
]
