"""On Ray jobs come back as they do on this machine; ray is imported by one file, and named where it is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from heldout.errors import InputError
from heldout.execution import Job, run_jobs
from heldout.execution.ray_cluster import connected, result_of

ray = pytest.importorskip("ray", reason="the extra ray of heldout")
SOURCES = Path(__file__).parents[2] / "src"
HALVES = [Job(f"half of {n}", Fraction, {"numerator": n, "denominator": 2}) for n in range(5)]
BROKEN = Job("nothing of it", Fraction, {"numerator": 1, "denominator": 0})


@pytest.fixture(scope="module")
def running() -> Iterator[None]:
    """A Ray of two CPUs on this machine, which the runs of this file share."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("running")
def test_jobs_give_what_they_give_here_from_processes_of_one_thread_each() -> None:
    elsewhere = Job("process", os.getpid)
    threads = Job("threads", os.getenv, {"key": "OMP_NUM_THREADS"})
    silent = Job("usage statistics", os.getenv, {"key": "RAY_USAGE_STATS_ENABLED"})
    done = {job.name: result for job, result in run_jobs([*HALVES, elsewhere, threads, silent], 2, cluster="ray")}
    assert {name: done[name] for name in (job.name for job in HALVES)} == {
        job.name: result for job, result in run_jobs(HALVES, 1)
    }
    assert done["process"] != os.getpid()
    assert done["threads"] == "1"
    assert done["usage statistics"] == "0"
    assert ray.is_initialized()


@pytest.mark.usefixtures("running")
def test_an_exception_ends_the_run_as_itself_and_says_where_it_was_raised() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        list(run_jobs([BROKEN, *HALVES], 2, cluster="ray"))
    assert type(raised.value) is ZeroDivisionError
    assert "fractions.py" in str(raised.value.__cause__)


def test_a_ray_that_is_started_for_a_run_ends_with_it_and_hands_over_an_error_of_ours(tmp_path: Path) -> None:
    code = [
        "import ray",
        "from heldout.errors import InputError, Problem",
        "from heldout.execution import Job, run_jobs",
        "problem = Problem('this', 'that', 'the other')",
        "def refuse(): raise InputError('called', problem)",
        "assert list(run_jobs([], 1, cluster='ray')) == []",
        "assert not ray.is_initialized()",
        "try:",
        "    list(run_jobs([Job('refuse', refuse)], 1, cluster='ray'))",
        "except InputError as error:",
        "    print(error.problems == (problem,))",
        "assert not ray.is_initialized()",
    ]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True"]


def test_an_exception_that_cannot_be_sent_is_rays_own() -> None:
    class SentError(Exception):
        cause = "not an exception"

    class Ray:
        class exceptions:  # noqa: N801
            RayTaskError = SentError

        @staticmethod
        def get(_: object) -> None:
            raise SentError

    with pytest.raises(SentError):
        result_of(Ray, None)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError) as raised:
        list(run_jobs(HALVES, 2, cluster="ray"))
    assert str(raised.value).splitlines() == [
        "run_on_ray(address=None)",
        "found:    no package ray",
        "expected: the extra ray of heldout",
        "next:     pip install heldout[ray]",
    ]


def test_a_cluster_that_cannot_be_reached_is_named_with_its_reason() -> None:
    class Ray:
        @staticmethod
        def is_initialized() -> bool:
            return False

        @staticmethod
        def init(address: str, **_: object) -> None:
            raise ConnectionError("timed out\nand more")

    with pytest.raises(InputError) as raised, connected(Ray, 2, "ray://host:1"):
        pass
    error = str(raised.value)
    assert error.startswith("run_on_ray(address='ray://host:1')\nfound:    no Ray cluster at ray://host:1: timed out\n")
    assert "set RAY_AUTH_MODE=token here too" in error


@pytest.mark.parametrize("cluster", ["", "slurm", "ray://", "ray://host", "ray:host:1", "host:6379", "ray://a b:1"])
def test_other_clusters_are_refused_before_anything_runs(cluster: str) -> None:
    with pytest.raises(InputError) as raised:
        run_jobs([BROKEN], 2, cluster=cluster)
    assert str(raised.value).splitlines() == [
        f"run_jobs(cluster={cluster!r})",
        f"found:    the cluster {cluster!r}",
        "expected: ray, for a Ray on this machine, or ray://host:port, for a cluster that is running",
        "next:     correct it, or leave it out to use processes of this machine",
    ]


def test_importing_the_runner_does_not_import_ray() -> None:
    code = "import sys, heldout.execution.ray_cluster; assert 'ray' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
