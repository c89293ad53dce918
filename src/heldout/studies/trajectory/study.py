"""The study: runs are opened, measured along their checkpoints, divided into phases, and summed up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from heldout.data import Suite
from heldout.errors import InputError, Problem
from heldout.evidence import Provenance, gather_provenance
from heldout.execution import Job, run_jobs
from heldout.models import CheckpointSuite
from heldout.progress import Progress
from heldout.studies.recording import refuse_foreign_folder
from heldout.studies.trajectory.asked import Asked, asked_of
from heldout.studies.trajectory.findings import TrajectoryStudy
from heldout.studies.trajectory.runs import Source, opened_runs
from heldout.studies.trajectory.storing import write_findings
from heldout.studies.trajectory.sweeping import OPTIONAL, measured_run, part_of

PROMPTS = 800


def trajectory(
    checkpoints: Source | Sequence[Source],
    *,
    suite: Suite | str | Path,
    out: str | Path,
    behaviour: str | None = None,
    steps: Sequence[int] | None = None,
    at_most: int | None = None,
    without: Sequence[str] = (),
    learning_coefficient: bool = False,
    prompts: int = PROMPTS,
    seed: int = 0,
    workers: int = 1,
    allow_remote_code: bool = False,
    progress: Progress | None = None,
) -> TrajectoryStudy:
    """Follows one training run, or several that differ in their seed, on the prompts of a suite, and writes what each
    stretch of training did into `out`.

    `checkpoints` are suites, folders or hub repositories. `steps` says at which to measure, `at_most` at how many,
    log-spaced; `without` leaves out what is in OPTIONAL. `learning_coefficient` adds it, which takes long. What `out` holds
    of an earlier call is not computed again. A checkpoint that cannot be measured is named in `failed`, and the others
    are kept. Raises InputError for inputs that cannot be used."""
    arguments: dict[str, Any] = {"steps": steps, "at_most": at_most, "without": list(without), "behaviour": behaviour}
    called = f"trajectory(out={str(out)!r})"
    refuse_foreign_folder(called, out, "trajectory")
    unknown = [name for name in without if name not in OPTIONAL]
    if unknown:
        problem = Problem(f"without {', '.join(unknown)}", f"some of {', '.join(OPTIONAL)}", "correct the names")
        raise InputError(called, problem)
    asked = asked_of(called, suite, behaviour, prompts, seed)
    runs = opened_runs(called, checkpoints, steps=steps, at_most=at_most, allow_remote_code=allow_remote_code)
    provenance = provenance_of(
        runs, asked, {**arguments, "prompts": prompts, "learning_coefficient": learning_coefficient}
    )
    shared = {"asked": asked, "out": Path(out), "without": without, "coefficients": learning_coefficient}
    jobs = [Job(run.name, measured_run, {"suite": run, **shared, "progress": _report(progress, place, runs, workers)})
            for place, run in enumerate(runs)]  # fmt: skip
    courses = {job.name: course for job, course in run_jobs(jobs, workers)}
    study = TrajectoryStudy(
        tuple(courses[run.name] for run in runs), asked.suite.name, asked.behaviour, len(asked.items)
    )
    write_findings(study, asked, provenance.completed(), Path(out))
    return study


def _report(progress: Progress | None, place: int, runs: Sequence[CheckpointSuite], workers: int) -> Progress | None:
    """Other processes cannot report."""
    return part_of(progress, place, len(runs), "") if workers <= 1 else None


def provenance_of(runs: Sequence[CheckpointSuite], asked: Asked, arguments: dict[str, Any]) -> Provenance:
    return gather_provenance(
        weights={f"{run.name}/{checkpoint.name}": checkpoint.digest for run in runs for checkpoint in run},
        data={"suite": asked.suite.digest},
        arguments_passed=arguments,
        arguments_resolved={**arguments, "behaviour": asked.behaviour, "steps": list(runs[0].steps)},
        seeds=(asked.seed,),
        names={"suite": asked.suite.name},
    )
