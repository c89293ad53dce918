"""The study: models that learn to add modulo p are trained or loaded, measured along their checkpoints, and summed up."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from heldout.errors import InputError, Problem
from heldout.evidence import Provenance, gather_provenance
from heldout.execution import Job, run_jobs
from heldout.execution.threads import one_thread_if_small
from heldout.models import Checkpoint, CheckpointSuite, Model, Site, load_research_weights, measure_along
from heldout.models.plain_transformer import PlainTransformer
from heldout.progress import Progress
from heldout.studies.grokking.fast_path import only_layer
from heldout.studies.grokking.findings import GrokkingRun, GrokkingStudy, Measured
from heldout.studies.grokking.fourier import real_basis
from heldout.studies.grokking.measures import ProgressMeasures, keys_of, neuron_logits, progress_measures
from heldout.studies.grokking.nulls import DRAWS, PAIRS, StructureNulls, structure_nulls
from heldout.studies.grokking.recipe import Recipe
from heldout.studies.grokking.storing import write_grokking
from heldout.studies.grokking.subspaces import Subspace, SubspaceLosses, subspace_losses
from heldout.studies.grokking.task import ModularAddition
from heldout.studies.grokking.training import trained
from heldout.studies.recording import refuse_foreign_folder

MEASURED = "measured"
RUNS = "runs"


def grokking_of_training(
    recipe: Recipe,
    seeds: Sequence[int],
    out: str | os.PathLike[str],
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> GrokkingStudy:
    """Trains one model a seed by the recipe, measures each at every checkpoint, and writes tables, figure and page.

    What `out` holds of an earlier call is not computed again. Raises InputError for no seeds, and where `out` holds runs
    of another recipe."""
    called = f"grokking_of_training(seeds={list(seeds)})"
    if not seeds:
        raise InputError(called, Problem("no seeds", "one seed or more", "give, say, 0"))
    refuse_foreign_folder(called, out, "grokking")
    folder, each = Path(out), 2 * recipe.checkpoints
    seeds = list(dict.fromkeys(seeds))
    parts = [part_of(progress, place * each, len(seeds) * each, f"seed-{seed}: ") for place, seed in enumerate(seeds)]
    jobs = [
        Job(
            f"seed-{seed}",
            train_and_measure,
            {"recipe": recipe, "seed": seed, "out": folder, "progress": part if workers <= 1 else None},
        )
        for seed, part in zip(seeds, parts, strict=True)
    ]
    runs: dict[int, GrokkingRun] = {}
    for done, (job, run) in enumerate(run_jobs(jobs, workers), 1):
        runs[job.arguments["seed"]] = run
        if progress is not None:
            progress(f"{job.name} is trained and measured", done * each, len(jobs) * each)
    study = GrokkingStudy(tuple(runs[seed] for seed in seeds), recipe)
    write_grokking(study, folder, provenance_of(study, {"recipe": recipe.to_json(), "seeds": seeds}))
    return study


def grokking_of_weights(
    weights: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    fraction: float = 0.3,
    seed: int = 1,
    progress: Progress | None = None,
) -> GrokkingStudy:
    """Measures published research weights; `fraction` and `seed` say which pairs they were trained on. The modulus is
    one less than the vocabulary. Raises InputError for weights of another shape."""
    folder = Path(out)
    refuse_foreign_folder(f"grokking_of_weights(out={os.fspath(out)!r})", folder, "grokking")
    model = load_research_weights(weights)
    _check_shape(f"grokking_of_weights({os.fspath(weights)!r})", model)
    task = ModularAddition(model.vocabulary_size - 1, fraction, seed)
    suite = CheckpointSuite.from_run({0: model}, name=model.name)
    study = GrokkingStudy((measured_run(suite, task, folder, progress),), None)
    arguments = {"weights": os.fspath(weights), "fraction": fraction, "seed": seed}
    write_grokking(study, folder, provenance_of(study, arguments))
    return study


def provenance_of(study: GrokkingStudy, arguments: Mapping[str, Any]) -> Provenance:
    """With the digest of every checkpoint."""
    weights = {f"{run.name}, step {each.step}": each.digest for run in study.runs for each in run.checkpoints}
    seeds = [run.task.seed for run in study.runs]
    return gather_provenance(
        weights=weights, data={}, arguments_passed=arguments, arguments_resolved=arguments, seeds=seeds
    )


def train_and_measure(recipe: Recipe, seed: int, out: Path, progress: Progress | None = None) -> GrokkingRun:
    """One seed, from its first step to its measures."""
    suite = trained(recipe, seed, out / RUNS / f"seed-{seed}", progress)
    return measured_run(suite, recipe.task(seed), out, part_of(progress, recipe.checkpoints, 2 * recipe.checkpoints))


def part_of(progress: Progress | None, before: int, total: int, name: str = "") -> Progress | None:
    """The progress of a part, told as that of the whole."""
    return None if progress is None else lambda what, done, _: progress(f"{name}{what}", before + done, total)


def measured_run(
    suite: CheckpointSuite, task: ModularAddition, out: Path, progress: Progress | None = None
) -> GrokkingRun:
    """Every checkpoint with the key frequencies of the last one."""
    last = suite.checkpoints[-1].load()
    with one_thread_if_small(last.n_parameters):
        keys = keys_of(last, task)
        settings = {"modulus": task.modulus, "fraction": task.fraction, "seed": task.seed, "keys": list(keys)}
        cells = measure_along(suite, progress_measures, out / MEASURED, settings=settings, progress=progress)
        at_the_end = suite.select(suite.steps[-1:])
        (neurons,) = measure_along(at_the_end, neuron_losses, out / MEASURED, settings=settings)
        (nulls,) = measure_along(at_the_end, structure_nulls, out / MEASURED, settings=settings)
    checkpoints = (Measured(cell.step, cell.digest, ProgressMeasures.from_json(cell.value)) for cell in cells)
    subspace = None if neurons.value is None else SubspaceLosses.from_json(neurons.value)
    structure = None if nulls.value is None else StructureNulls.from_json(nulls.value)
    return GrokkingRun(suite.name, task, keys, tuple(checkpoints), subspace, structure)


def neuron_losses(
    model: Model, checkpoint: Checkpoint, *, modulus: int, fraction: float, seed: int, keys: Sequence[int]
) -> dict[str, Any] | None:
    """For `measure_along`: restricted and excluded loss among the neurons, of the directions in which W_L reads them for
    cos and sin of the key frequencies, over PAIRS pairs. None without key frequencies."""
    if not keys:
        return None
    task = ModularAddition(modulus, fraction, seed)
    waves = real_basis(modulus)[[row for key in keys for row in (2 * key - 1, 2 * key)]]
    subspace = Subspace.spanned_by(Site("mlp_post", 0), waves @ neuron_logits(model, task), positions=-1)
    return subspace_losses(model, task.sample(PAIRS), subspace, draws=DRAWS, seed=seed).to_json()


def _check_shape(called: str, model: Model) -> None:
    module = cast("PlainTransformer", model.module)
    only_layer(module)
    if model.d_mlp is None or model.context_length < 3:
        found = f"{model!r}, attention only, or of fewer than 3 positions"
        expected = "one layer with an MLP that reads three positions"
        raise InputError(called, Problem(found, expected, "name the weights of a model of modular addition"))
