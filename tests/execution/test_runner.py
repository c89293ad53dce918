"""Jobs come back with what they return, here and in other processes; an error in one reaches the caller as it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from heldout.execution import Job, run_jobs

HALVES = [Job(f"half of {n}", Fraction, {"numerator": n, "denominator": 2}) for n in range(3)]
BROKEN = Job("nothing of it", Fraction, {"numerator": 1, "denominator": 0})


def test_one_worker_runs_jobs_here_and_in_their_order() -> None:
    done = list(run_jobs([*HALVES, Job("process", os.getpid)], 1))
    assert [job.name for job, _ in done] == ["half of 0", "half of 1", "half of 2", "process"]
    assert [result for _, result in done] == [Fraction(n, 2) for n in range(3)] + [os.getpid()]


def test_no_jobs_are_no_work() -> None:
    assert list(run_jobs([], 1)) == []
    assert list(run_jobs([], 4)) == []


def test_results_are_handed_over_as_they_come_and_jobs_after_an_error_do_not_begin() -> None:
    begun: list[str] = []

    def noting(name: str) -> Callable[..., Any]:
        return lambda: begun.append(name)

    jobs = [Job("one", noting("one")), BROKEN, Job("two", noting("two"))]
    running = run_jobs(jobs, 1)
    assert next(running)[0].name == "one"
    assert begun == ["one"]
    with pytest.raises(ZeroDivisionError):
        next(running)
    assert begun == ["one"]


def test_two_workers_give_what_one_gives_from_processes_of_one_thread_each() -> None:
    elsewhere = Job("process", os.getpid)
    threads = Job("threads", os.getenv, {"key": "OMP_NUM_THREADS"})
    done = {job.name: result for job, result in run_jobs([*HALVES, elsewhere, threads], 2)}
    assert {job.name: done[job.name] for job in HALVES} == {job.name: job.function(**job.arguments) for job in HALVES}
    assert done["process"] != os.getpid()
    assert done["threads"] == "1"


def test_an_error_in_another_process_arrives_as_itself() -> None:
    with pytest.raises(ZeroDivisionError):
        list(run_jobs([BROKEN], 2))
