"""The study: models of several sizes, several seeds of each, are measured, and exponents fitted to what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from heldout.data import Suite
from heldout.errors import InputError, Problem, Problems
from heldout.evidence import gather_provenance
from heldout.models import CheckpointSuite, measure_along
from heldout.progress import Progress
from heldout.studies.recording import refuse_foreign_folder
from heldout.studies.scaling.findings import ScalingStudy
from heldout.studies.scaling.measured import MeasuredModel
from heldout.studies.scaling.measuring import ReadingsOn
from heldout.studies.scaling.prompts import graded_samples
from heldout.studies.scaling.reading import Reading
from heldout.studies.scaling.storing import write_scaling
from heldout.techniques.learning_coefficient import Sampling

MEASURED = "measured"
CHECKPOINTS = "checkpoints"
N_BETAS = (1e3, 10**3.5, 1e4)
LOCALISATION = 100.0
"""A weight that does not matter moves by about 0.1, as much as weights of small models are large."""
COEFFICIENT_PROMPTS = 12
SAMPLING = Sampling(chains=8, draws=40, warmup=20, length=1.5, largest_steps=25)


def scaling(
    folders: str | Path | Iterable[str | Path],
    *,
    suite: str | Path,
    out: str | Path,
    prompts: int = 64,
    faithful: float = 0.8,
    n_betas: Sequence[float] = N_BETAS,
    localisation: float = LOCALISATION,
    parameters: Sequence[str] | None = None,
    sampling: Sampling = SAMPLING,
    seed: int = 0,
    progress: Progress | None = None,
) -> ScalingStudy:
    """Measures every model of `folders` (each a series of sizes, one seed) on the prompts of a suite whose answer is known,
    fits exponents against the number of parameters that are no embeddings, and writes tables, figure and page.

    `faithful` is what a circuit must carry; `n_betas`, `localisation`, `parameters` and `sampling` are those of the
    learning coefficient. What `out` holds of an earlier call, of the
    same weights and a suite of the same contents, is not measured again. Raises InputError for inputs that
    cannot be used."""
    called = f"scaling(out={str(out)!r})"
    refuse_foreign_folder(called, out, "scaling")
    read = Suite.from_folder(suite)
    series = series_of(called, [folders] if isinstance(folders, str | Path) else list(folders))
    _check(called, prompts, faithful, n_betas, localisation)
    graded_samples(read, prompts, seed)
    settings: dict[str, Any] = {
        "prompts": prompts,
        "faithful": faithful,
        "coefficient": {
            "n_betas": list(n_betas),
            "localisation": localisation,
            "sampling": asdict(sampling),
            "parameters": None if parameters is None else list(parameters),
            "prompts": min(prompts, COEFFICIENT_PROMPTS),
        },
        "seed": seed,
    }
    models: list[MeasuredModel] = []
    for name, checkpoints in series.items():
        cells = measure_along(
            checkpoints,
            ReadingsOn(read).measure,
            Path(out) / MEASURED,
            settings={**settings, "suite_digest": read.digest},
            progress=progress,
        )
        models += [measured_model(name, cell.name, cell.digest, cell.value) for cell in cells]
    study = ScalingStudy.of(models, settings, seed)
    arguments = {**settings, "folders": list(series)}
    provenance = gather_provenance(
        weights={f"{model.series}/{model.name}": model.digest for model in study.models},
        data={"suite": read.digest},
        names={"suite": read.name},
        arguments_passed=arguments,
        arguments_resolved=arguments,
        seeds=[seed],
    )
    write_scaling(study, Path(out), provenance)
    return study


def series_of(called: str, folders: Sequence[str | Path]) -> dict[str, CheckpointSuite]:
    """Each folder as a suite along size, by a name of its own. A folder that holds `checkpoints/` stands for that."""
    if not folders:
        raise InputError(called, Problem("no folders", "one folder of models a seed", "name a folder of models"))
    found: dict[str, CheckpointSuite] = {}
    for folder in map(Path, folders):
        inside = folder / CHECKPOINTS
        name = folder.resolve().parent.name if folder.resolve().name == CHECKPOINTS else folder.resolve().name
        name = name if name not in found else f"{name} ({len(found) + 1})"
        found[name] = CheckpointSuite.from_folder(inside if inside.is_dir() else folder, axis="size")
    return found


def measured_model(series: str, name: str, digest: str, value: dict[str, Any]) -> MeasuredModel:
    readings = tuple(Reading.from_json(each) for each in value["readings"])
    return MeasuredModel(series, name, digest, value["non_embedding"], value["parameters"], readings)


def _check(called: str, prompts: int, faithful: float, n_betas: Sequence[float], localisation: float) -> None:
    problems = Problems(called)
    if prompts < 8:
        problems.add(f"prompts={prompts}", "at least 8", "circuits are found on one half and judged on the other")
    if not 0.0 < faithful <= 1.0:
        problems.add(f"faithful={faithful}", "a share above 0 and up to 1", "0.8 asks for most of the effect")
    if len({*n_betas}) < 3 or min(n_betas, default=0.0) <= 0.0:
        problems.add(f"n_betas={tuple(n_betas)}", "three or more different positive numbers", "a plateau needs three")
    if not localisation > 0.0:
        problems.add(f"localisation={localisation}", "more than 0", "100 lets a free weight move by about 0.1")
    problems.raise_if_any()
