"""Jobs on this machine: here, or on processes of one thread each."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import Any

from heldout.execution.job import Job


def run_here(jobs: Sequence[Job]) -> Iterator[tuple[Job, Any]]:
    """In this process, one after the other."""
    for job in jobs:
        yield job, job.run()


def run_in_processes(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Any]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)) or 1, mp_context=context, initializer=use_one_thread) as pool:
        futures: dict[Future[Any], Job] = {pool.submit(job.function, **job.arguments): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def use_one_thread() -> None:
    """For a process that shares its machine with others like it."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
