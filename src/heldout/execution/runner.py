"""Whole jobs, run side by side: a function with its arguments in, what it returns out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from heldout.errors import InputError, Problem
from heldout.execution.job import Job
from heldout.execution.local import run_here, run_in_processes

__all__ = ["Job", "run_jobs"]


def run_jobs(jobs: Sequence[Job], workers: int, cluster: str | None = None) -> Iterator[tuple[Job, Any]]:
    """Runs the jobs on `workers` processes of one thread each, and yields each with its result as it ends.

    The first job that raises ends the run with its exception; jobs that have not begun are dropped. With one worker the
    jobs run here, one after the other. `cluster` is None for this machine, `ray` for a Ray of `workers` CPUs that is
    started here, or the address of a Ray cluster, `ray://host:port`, whose CPUs say how many jobs run at a time. The
    machines of a cluster need heldout, and the paths that the jobs name. Raises InputError where `cluster` is none of
    these, where ray is not installed, and where the cluster cannot be reached."""
    check_cluster(f"run_jobs(cluster={cluster!r})", cluster)
    if not jobs:
        return iter(())
    if cluster is not None:
        from heldout.execution.ray_cluster import run_on_ray

        return run_on_ray(jobs, workers, address=None if cluster == "ray" else cluster)
    return run_here(jobs) if workers <= 1 else run_in_processes(jobs, workers)


def check_cluster(called: str, cluster: str | None) -> None:
    if cluster is not None and not re.fullmatch(r"ray|ray://[^/\s]+:\d+", cluster):
        expected = "ray, for a Ray on this machine, or ray://host:port, for a cluster that is running"
        next_step = "correct it, or leave it out to use processes of this machine"
        raise InputError(called, Problem(f"the cluster {cluster!r}", expected, next_step))
