"""Jobs on a Ray cluster. Nothing else in heldout imports ray.

A cluster receives whole jobs, so there is nothing of Ray in what a job computes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from heldout.errors import InputError, Problem
from heldout.execution.job import Job
from heldout.execution.local import use_one_thread


def run_on_ray(jobs: Sequence[Job], workers: int, address: str | None = None) -> Iterator[tuple[Job, Any]]:
    """Yields each job with its result as it ends; the first that raises ends the run with its exception.

    `address` None starts a Ray of `workers` CPUs on this machine. A Ray that this process is connected to already is
    used as it is, and left running."""
    ray = imported_ray(address)
    with connected(ray, workers, address):
        # A job that writes files and raises would do both again: it is tried once.
        remote = ray.remote(num_cpus=1, max_retries=0)(run_with_one_thread)
        running = {remote.remote(job): job for job in jobs}
        try:
            while running:
                (done, *_), _ = ray.wait(list(running), num_returns=1)
                job = running.pop(done)
                yield job, result_of(ray, done)
        finally:
            for waiting in running:
                ray.cancel(waiting)


def run_with_one_thread(job: Job) -> Any:
    use_one_thread()
    return job.run()


def result_of(ray: Any, done: Any) -> Any:
    """The job's result, or its own exception in place of Ray's, whose text holds where in the job it was raised."""
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, BaseException):
            raise error.cause from error
        raise


def imported_ray(address: str | None) -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when ray starts, and by the processes that it starts
    try:
        import ray
    except ModuleNotFoundError as error:
        problem = Problem("no package ray", "the extra ray of heldout", "pip install heldout[ray]")
        raise InputError(f"run_on_ray(address={address!r})", problem) from error
    return ray


@contextmanager
def connected(ray: Any, workers: int, address: str | None) -> Generator[None]:
    if ray.is_initialized():
        yield
        return
    if address is None:
        where: dict[str, Any] = {"address": "local", "num_cpus": workers, "include_dashboard": False}
    else:
        where = {"address": address}
    try:
        ray.init(**where, log_to_driver=False, logging_level=logging.WARNING)
    except (ConnectionError, ImportError, RuntimeError, ValueError) as error:
        raise InputError(f"run_on_ray(address={address!r})", unreachable(address, error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def unreachable(address: str | None, error: Exception) -> Problem:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if address is None:
        return Problem(f"a Ray that does not start: {reason}", "a Ray on this machine", "leave the cluster out")
    return Problem(
        f"no Ray cluster at {address}: {reason}",
        "the address of a running cluster's client server, with the same versions of Python and ray as here",
        "correct the address, or start it: ray start --head --ray-client-server-port=10001; where it asks for a token, "
        "set RAY_AUTH_MODE=token here too, as without it Ray sends none",
    )
