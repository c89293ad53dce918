"""A strong behavioural baseline: everything that outputs alone can tell, for the compute that looking inside had."""

from heldout.evals.battery.battery import (
    BatteryOutcome,
    BehaviouralVerdict,
    behavioural_verdict,
    planned_evals,
    run_battery,
)
from heldout.evals.battery.finding import Finding, Scores
from heldout.evals.battery.grading import grading_chance
from heldout.evals.battery.subject import BatterySettings, BatterySubject

__all__ = [
    "BatteryOutcome",
    "BatterySettings",
    "BatterySubject",
    "BehaviouralVerdict",
    "Finding",
    "Scores",
    "behavioural_verdict",
    "grading_chance",
    "planned_evals",
    "run_battery",
]
