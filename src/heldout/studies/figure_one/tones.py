"""The words and colours that the plates of the figure share."""

from __future__ import annotations

from heldout.studies.figure_one.stages import View
from heldout.studies.figure_one.trajectories import State

INK = "--tone: var(--ink)"

STATE_TONES: dict[State, str] = {
    "benign": "s0",
    "behaviour": "s1",
    "inside": "s3",
    "neither": "s2",
    "unaudited": "empty",
}
STATE_NAMES: dict[State, str] = {
    "benign": "not dangerous",
    "behaviour": "behavioural evals catch it",
    "inside": "only the inside view catches it",
    "neither": "neither catches it",
    "unaudited": "not audited",
}
VIEW_TONES: dict[View, str] = {"behaviour": "s1", "inside": "s3"}
VIEW_NAMES: dict[View, str] = {"behaviour": "behavioural evals", "inside": "the inside view"}
