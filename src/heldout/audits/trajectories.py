"""Audits of every checkpoint of trajectories: one bundle a checkpoint, beside which the sealed truth says what was there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from heldout.audits.audit import audit
from heldout.audits.settings import Effort
from heldout.errors import InputError, Problem
from heldout.evidence import Bundle
from heldout.execution.runner import Job, run_jobs
from heldout.models.digests import folder_digest
from heldout.organisms import Point, baseline_of, read_points
from heldout.progress import Progress


@dataclass(frozen=True)
class PointScore:
    """One checkpoint: where it stands, what is true of it, what outputs alone said, and what the audit said."""

    trajectory: str
    point: Point
    verdict: str
    kind: str | None
    behavioural_only: str


def score_trajectories(
    folders: Sequence[str | Path],
    runs: str | Path,
    *,
    workers: int = 1,
    cluster: str | None = None,
    effort: Effort = "standard",
    progress: Progress | None = None,
) -> list[PointScore]:
    """Audits each checkpoint of each trajectory into `runs/TRAJECTORY/CHECKPOINT`; a bundle that is there is read.

    `cluster`: where the jobs run, as `heldout.execution.run_jobs` has it."""
    paths, out = [Path(folder) for folder in folders], Path(runs)
    if cluster is not None:
        paths, out = [path.resolve() for path in paths], out.resolve()
    jobs = [
        Job(
            f"{path.name}/{point.name}",
            score_point,
            {"folder": path, "point": point, "run": out / path.name / point.name, "effort": effort},
        )
        for path in paths
        for point in read_points(path)
    ]
    scores: dict[str, PointScore] = {}
    if progress is not None:
        progress("auditing", 0, len(jobs))
    for done, (job, score) in enumerate(run_jobs(jobs, workers, cluster), start=1):
        scores[job.name] = score
        if progress is not None:
            progress(f"audited {job.name}", done, len(jobs))
    return [scores[job.name] for job in jobs]


def score_point(folder: Path, point: Point, run: Path, effort: Effort) -> PointScore:
    """Raises InputError where the run is of another model."""
    candidate = folder / "checkpoints" / point.name
    if not run.is_dir():
        run.parent.mkdir(parents=True, exist_ok=True)
        audit(candidate, baseline=baseline_of(folder, point), suite=folder / "suite", out=run, effort=effort)
    verdicts, digest = Bundle.open(run).verdicts(), folder_digest(candidate)
    if verdicts.candidate != digest:
        found = Problem(
            f"a bundle about {verdicts.candidate}", f"one about {digest}", "choose another folder for the runs"
        )
        raise InputError(f"score_point({str(folder)!r}, {point.name!r})", found)
    verdict = next(iter(verdicts))
    return PointScore(folder.name, point, verdict.verdict, verdict.kind, verdict.behavioural_only)
