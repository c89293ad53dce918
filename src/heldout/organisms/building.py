"""Building organisms: trained, measured, and only accepted if their planted truth is there. Parallel and resumable."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from heldout.errors import InputError, Problem
from heldout.execution.runner import Job, run_jobs
from heldout.organisms.folders import is_whole, read_truth, write_organism
from heldout.organisms.measuring import measure
from heldout.organisms.planting import Planter
from heldout.organisms.recipes import Recipe
from heldout.progress import Progress

ATTEMPTS = 3


@dataclass(frozen=True)
class Built:
    """What became of one recipe.

    `reason` says why it was rejected, `attempts` how many trainings it took (0: it was there)."""

    name: str
    folder: Path | None
    accepted: bool
    reason: str | None
    attempts: int
    seconds: float


def build_organisms(
    recipes: Sequence[Recipe],
    out: str | Path,
    *,
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> list[Built]:
    """Builds each recipe into `out/NAME`, in the order of the recipes. Folders that are there are kept.

    `cluster`: where the jobs run, as `heldout.execution.run_jobs` has it.

    The recipes of one family, width and seed share trainings, and are built by one process."""
    out = Path(out) if cluster is None else Path(out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    groups: dict[str, list[Recipe]] = {}
    for recipe in recipes:
        groups.setdefault(f"{recipe.family}-{recipe.width}-seed{recipe.seed}", []).append(recipe)
    jobs = [Job(name, build_group, {"recipes": group, "out": out}) for name, group in groups.items()]
    jobs.sort(key=lambda job: -len(groups[job.name]))
    built: dict[str, Built] = {}
    if progress is not None:
        progress("building", 0, len(recipes))
    for _, group in run_jobs(jobs, workers, cluster):
        for each in group:
            built[each.name] = each
            if progress is not None:
                progress(f"{'built' if each.accepted else 'rejected'} {each.name}", len(built), len(recipes))
    return [built[recipe.name] for recipe in recipes]


def build_group(recipes: Sequence[Recipe], out: Path) -> list[Built]:
    planter = Planter(recipes[0])
    return [build_organism(recipe, out / recipe.name, planter) for recipe in recipes]


def build_organism(recipe: Recipe, folder: Path, planter: Planter | None = None) -> Built:
    """Trains until the planted truth is measured to be there, at most ATTEMPTS times. A folder that is whole is kept, if
    its truth is about its weights; else InputError is raised."""
    started = time.monotonic()
    if is_whole(folder):
        check_recipe(recipe, folder)
        return Built(recipe.name, folder, True, None, 0, 0.0)
    planter = planter or Planter(recipe)
    rejections: list[str] = []
    for attempt in range(ATTEMPTS):
        planted = planter.plant(recipe, attempt)
        measured = measure(recipe, planted)
        faults = measured.faults(recipe)
        if not faults:
            write_organism(folder, recipe, planted, measured, rejections)
            return Built(recipe.name, folder, True, None, attempt + 1, time.monotonic() - started)
        rejections.append("; ".join(faults))
    return Built(recipe.name, None, False, rejections[-1], ATTEMPTS, time.monotonic() - started)


def check_recipe(recipe: Recipe, folder: Path) -> None:
    """Raises InputError where a folder holds an organism of another recipe, or weights that its truth is not about."""
    made = read_truth(folder).get("recipe")
    if made != recipe.to_json():
        found = Problem(f"an organism of the recipe {made}", f"one of {recipe.to_json()}", "build into another folder")
        raise InputError(f"build_organism({recipe.name!r}, {str(folder)!r})", found)
