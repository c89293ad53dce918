"""The study: models read on the same prompts become matrices, measures, concepts, a figure and a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from heldout.data import Suite
from heldout.evidence.canonical import canonical_json, write_durably
from heldout.studies.compare.drawing import figure_svg
from heldout.studies.compare.findings import ModelComparison, found_in
from heldout.studies.compare.items import items_of
from heldout.studies.compare.page import report_page
from heldout.studies.compare.readings import Progress, read_models
from heldout.studies.compare.storing import write_tables
from heldout.studies.compare.subjects import Source, subjects_of
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
    items = items_of(called, suite, text, prompts, seed)
    subjects = subjects_of(called, models, allow_remote_code=allow_remote_code)
    readings = read_models(subjects, items, sites, position, seed, report)
    study = found_in(readings, items, position, Draws(draws, draws, seed), report)
    write_study(study, Path(out))
    return study


def write_study(study: ModelComparison, out: Path) -> None:
    write_tables(study, out)
    write_durably(out / "compare.json", canonical_json(study.to_json(), indent=1))
    write_durably(out / "compare.svg", figure_svg(study).encode())
    write_durably(out / "report.html", report_page(study).encode())


def silent(what: str, done: int, total: int) -> None:
    """Shows no progress."""
