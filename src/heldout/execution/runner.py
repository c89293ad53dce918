"""Whole jobs, run side by side: a function with its arguments in, what it returns out."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """`function(**arguments)`; both must be picklable, as the job runs in a process of its own."""

    name: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


def run_jobs(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Any]]:
    """Runs the jobs on `workers` processes of one thread each, and yields each with its result as it ends.

    The first job that raises ends the run with its exception; jobs that have not begun are dropped. With one worker the
    jobs run here, one after the other."""
    if workers <= 1:
        for job in jobs:
            yield job, job.function(**job.arguments)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)) or 1, mp_context=context, initializer=_one_thread) as pool:
        futures: dict[Future[Any], Job] = {pool.submit(job.function, **job.arguments): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
