"""The study: what reward models reward, by feature, where it comes from inside, and what it does to best-of-n."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from heldout.errors import InputError, Problem
from heldout.evidence import gather_provenance
from heldout.models import Model
from heldout.models.scores import load_reward_model
from heldout.progress import Progress
from heldout.studies.recording import refuse_foreign_folder
from heldout.studies.reward.best_of_n import Candidates
from heldout.studies.reward.changes import changes_between
from heldout.studies.reward.findings import RewardStudy
from heldout.studies.reward.over_models import over_models
from heldout.studies.reward.pairs import PairSet
from heldout.studies.reward.reading import STEPS, read_model, slopes_only
from heldout.studies.reward.storing import write_reward

Source = Model | str | os.PathLike[str]


def reward(
    models: Source | Sequence[Source],
    pairs: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    before: Source | None = None,
    seed: int = 0,
    allow_remote_code: bool = False,
    progress: Progress | None = None,
) -> RewardStudy:
    """Reads a reward model, or several of one recipe (then the unit is the model), on contrastive pairs, and writes what it
    finds into `out`.

    `pairs` is a folder with pairs.jsonl and, for best-of-n, candidates.jsonl; docs/reward.md describes both. `before` is a
    model whose slopes the one model is compared with. Raises InputError before any model is scored for pairs and models
    that cannot be used, and while scoring for scores that are not finite."""
    sources = [models] if isinstance(models, Model | str | os.PathLike) else list(models)
    refuse_foreign_folder(f"reward(out={str(out)!r})", Path(out), "reward")
    check_models(sources, before)
    read = PairSet.read(Path(pairs), seed=seed)
    candidates = Candidates.read(Path(pairs))
    loaded = [opened(source, allow_remote_code) for source in sources]
    earlier = None if before is None else opened(before, allow_remote_code)
    provenance = gather_provenance(
        weights={f"model {place}": each.digest for place, each in enumerate(loaded)}
        | ({} if earlier is None else {"before": earlier.digest}),
        data={"pairs": read.digest} | ({} if candidates is None else {"candidates": candidates.digest}),
        names={f"model {place}": each.name for place, each in enumerate(loaded)},
        arguments_passed={"pairs": str(pairs), "seed": seed},
        arguments_resolved={"pairs": str(pairs), "seed": seed, "n_pairs": len(read.pairs)},
        seeds=(seed,),
    )
    step = counted(progress, STEPS * len(loaded))
    readings = tuple(read_model(each, read, candidates, seed, step) for each in loaded)
    compared: dict[str, Any] = {}
    if earlier is not None:
        reading = slopes_only(earlier, read, seed)
        compared = {"before": reading, "changes": changes_between(reading.slopes, readings[0].slopes, seed)}
    over = over_models([reading.spurious for reading in readings], seed)
    study = RewardStudy(readings, str(pairs), len(read.pairs), over, **compared)
    write_reward(study, Path(out), provenance.completed())
    return study


def check_models(sources: Sequence[Source], before: Source | None) -> None:
    """Raises InputError for no models, and for a comparison of several."""
    called = f"reward({len(sources)} models)"
    if not sources:
        raise InputError(called, Problem("no models", "one reward model or more", "name one"))
    if before is not None and len(sources) > 1:
        found, expected = f"a model before, and {len(sources)} after", "one model after"
        raise InputError(called, Problem(found, expected, "compare two models at a time"))


def opened(source: Source, allow_remote_code: bool) -> Model:
    if isinstance(source, Model):
        return source
    return load_reward_model(source, allow_remote_code=allow_remote_code)


def counted(progress: Progress | None, total: int) -> Any:
    """A function that tells each step with how many are done."""
    done = iter(range(total + 1))

    def step(what: str) -> None:
        if progress is not None:
            progress(what, next(done), total)

    return step
