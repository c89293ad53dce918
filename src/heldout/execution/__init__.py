"""Jobs and what they return."""

from heldout.execution.result import Null, Result
from heldout.execution.runner import Job, run_jobs

__all__ = ["Job", "Null", "Result", "run_jobs"]
