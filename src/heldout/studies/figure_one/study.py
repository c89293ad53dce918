"""The study: stored audits of organisms and trajectories become rates, curves, a figure and a page."""

from __future__ import annotations

from pathlib import Path

from heldout.errors import InputError, Problem
from heldout.evidence import gather_provenance
from heldout.studies.figure_one.findings import FigureOne, summed_up
from heldout.studies.figure_one.models import read_models
from heldout.studies.figure_one.storing import write_figure_one
from heldout.studies.figure_one.trajectories import TrajectoryPoint, read_trajectories


def figure_1(
    organisms: str | Path,
    runs: str | Path,
    *,
    out: str | Path,
    trajectories: str | Path | None = None,
    trajectory_runs: str | Path | None = None,
) -> FigureOne:
    """Counts who catches what over the organisms with a bundle in `runs`, draws it, and writes it all into `out`.

    `trajectories` are models along training or size, with bundles at `trajectory_runs`/NAME/POINT. Files of an earlier
    study in `out` are written anew. Raises InputError where a truth or a bundle cannot be used, where a bundle is about
    another model than its organism, and where no organism has a bundle.
    """
    called = f"figure_1({str(organisms)!r}, {str(runs)!r})"
    models = read_models(called, Path(organisms), Path(runs))
    points = _trajectory_points(called, trajectories, trajectory_runs)
    if not models.audited:
        found = f"{len(models.missing)} organisms without a bundle in {runs}, {len(models.skipped)} without a stage"
        next_step = "audit them first: heldout organisms score ORGANISMS --out RUNS"
        raise InputError(called, Problem(found, "finished audits of organisms", next_step))
    study = summed_up(models, points)
    arguments = {
        "organisms": str(organisms),
        "runs": str(runs),
        "trajectories": trajectories and str(trajectories),
        "trajectory_runs": trajectory_runs and str(trajectory_runs),
    }
    provenance = gather_provenance(
        weights={model.name: model.reading.candidate for model in models.audited},
        data={},
        arguments_passed=arguments,
        arguments_resolved=arguments,
        seeds=sorted({model.recipe.seed for model in models.audited if model.recipe.seed is not None}),
    )
    write_figure_one(study, Path(out), provenance)
    return study


def _trajectory_points(
    called: str, trajectories: str | Path | None, runs: str | Path | None
) -> tuple[TrajectoryPoint, ...]:
    if trajectories is None and runs is None:
        return ()
    if trajectories is None or runs is None:
        given, other = (
            ("runs of trajectories", "trajectories") if trajectories is None else ("trajectories", "their runs")
        )
        problem = Problem(f"{given} without {other}", "both of them, or neither", f"name the folder of {other} as well")
        raise InputError(called, problem)
    return read_trajectories(called, Path(trajectories), Path(runs))
