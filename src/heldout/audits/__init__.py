"""The test set: audits that find a failure before deployment."""

from heldout.audits.audit import audit
from heldout.audits.scoring import Score, score_organisms
from heldout.audits.settings import AuditSettings, Effort, Thresholds
from heldout.audits.trajectories import PointScore, score_trajectories

__all__ = [
    "AuditSettings",
    "Effort",
    "PointScore",
    "Score",
    "Thresholds",
    "audit",
    "score_organisms",
    "score_trajectories",
]
