"""The study: models read on the same prompts become matrices, measures, concepts, a figure and a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from heldout.data import Suite
from heldout.evidence import gather_provenance
from heldout.progress import Progress, silent
from heldout.studies.compare.findings import ModelComparison, found_in
from heldout.studies.compare.items import items_of
from heldout.studies.compare.readings import asked_places, read_models
from heldout.studies.compare.storing import write_comparison
from heldout.studies.compare.subjects import Source, subjects_of
from heldout.studies.recording import refuse_foreign_folder
from heldout.techniques.representation_comparison import Draws

PROMPTS = 500


def compare(
    models: Source | Iterable[Source],
    *,
    out: str | Path,
    suite: Suite | str | Path | None = None,
    text: str | Path | None = None,
    sites: Sequence[str] | None = None,
    position: int | None = -1,
    prompts: int = PROMPTS,
    draws: int = 99,
    seed: int = 0,
    allow_remote_code: bool = False,
    progress: Progress | None = None,
) -> ModelComparison:
    """Holds two or more models against each other on the prompts of a suite or the lines of a text file, and writes what
    it finds into `out`.

    Models are heldout's own, folders, hub ids, or suites of checkpoints (a folder of them, too). `sites` are names, each
    at up to twelve layers, or sites with their layer; `position` counts from the end, None is the mean over a prompt's
    tokens. At most `prompts` are read. `draws` is the number of permutations and of halves. Raises InputError for inputs
    that cannot be compared."""
    called = f"compare(out={str(out)!r})"
    report = progress or silent
    refuse_foreign_folder(called, out, "compare")
    asked_places(sites)
    items = items_of(called, suite, text, prompts, seed)
    subjects = subjects_of(called, models, allow_remote_code=allow_remote_code)
    readings = read_models(subjects, items, sites, position, seed, report)
    study = found_in(readings, items, position, Draws(draws, draws, seed), report)
    arguments = {"sites": sites and list(sites), "position": position, "prompts": prompts, "draws": draws, "seed": seed}
    trained = study.trained
    provenance = gather_provenance(
        weights={model.label: model.digest for model in trained},
        data={"prompts": items.digest},
        names={**{model.label: model.name for model in trained}, "prompts": items.source},
        arguments_passed=arguments,
        arguments_resolved={**arguments, "sites": [str(site) for site in trained[0].activations]},
        seeds=[seed],
    )
    write_comparison(study, Path(out), provenance)
    return study
