"""The study: labelled texts are read by a model and by untrained twins, each latent is measured, and the record written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heldout.data import Suite
from heldout.errors import InputError, Problem
from heldout.evidence.provenance import gather_provenance
from heldout.models import Model, as_model
from heldout.models.unknown_words import refuse_unknown_words
from heldout.progress import Progress
from heldout.studies.crispness.english import english
from heldout.studies.crispness.findings import CrispnessStudy
from heldout.studies.crispness.measuring import Effort, Read, findings_of, read_model
from heldout.studies.crispness.paths import path_reading
from heldout.studies.crispness.storing import write_crispness
from heldout.studies.crispness.texts import TextSet, read_text_set, texts_of_suite
from heldout.studies.recording import refuse_foreign_folder

ENGLISH = "english"
Texts = TextSet | str | Path


def crispness(
    model: Model | str | Path,
    *,
    out: str | Path,
    text_set: Texts | None = None,
    suite: Suite | str | Path | None = None,
    latents: Sequence[str] = (),
    effort: Effort | None = None,
    seed: int = 0,
    allow_remote_code: bool = False,
    progress: Progress | None = None,
) -> CrispnessStudy:
    """Asks of each latent of a text set or a suite whether a model represents it crisply, and writes what it finds into
    `out`.

    A model is one of heldout's own, a folder, a hub id, or "minilm"; a text set is one, a JSONL file, or "english" (the
    default). Raises InputError for inputs that cannot be used."""
    called = f"crispness(out={str(out)!r})"
    refuse_foreign_folder(called, out, "crispness")
    texts = chosen_texts(called, text_set, suite, seed)
    texts = texts.only(latents) if latents else texts
    effort = (effort or Effort()).resolved(called, len(texts.latents))
    opened = as_model(model, allow_remote_code=allow_remote_code)
    refuse_unknown_words(called, opened, [each.text for each in texts.texts])
    provenance = gather_provenance(
        weights={"model": opened.digest},
        data={"texts": texts.digest},
        names={"model": opened.name, "texts": texts.name},
        arguments_passed={
            "model": str(model),
            "text_set": str(text_set),
            "suite": str(suite),
            "latents": list(latents),
        },
        arguments_resolved={"latents": list(texts.latents), "effort": vars(effort)},
        seeds=(seed,),
    )
    study = measured(opened, texts, effort, seed, progress)
    write_crispness(study, Path(out), provenance)
    return study


def measured(
    model: Model, texts: TextSet, effort: Effort, seed: int, progress: Progress | None = None
) -> CrispnessStudy:
    """With an effort that is resolved. Reads the model and its twins, then measures the model and the first of the twins."""
    steps = iter(range(1, len(texts.latents) * (effort.twins + 3) + 1))
    total = len(texts.latents) * (effort.twins + 3)

    def told(what: str) -> None:
        if progress is not None:
            progress(what, next(steps), total)

    twins: list[Read] = [
        read_model(model.randomly_initialised(seed + number), texts, told) for number in range(effort.twins)
    ]
    read = read_model(model, texts, told)
    return CrispnessStudy(
        model=model.name,
        family=model.architecture.family,
        digest=model.digest,
        causal=model.architecture.causal,
        text_set=texts.name,
        text_digest=texts.digest,
        found=findings_of(read, twins, effort, seed, told),
        twin=findings_of(twins[0], [], effort, seed, told),
        twins=effort.twins,
        path=path_reading(model, texts, seed),
        seed=seed,
        settings=dict(vars(effort)),
    )


def chosen_texts(called: str, text_set: Texts | None, suite: Suite | str | Path | None, seed: int) -> TextSet:
    if text_set is not None and suite is not None:
        problem = Problem("a text set and a suite", "one source of texts", "give one of them")
        raise InputError(called, problem)
    if suite is not None:
        return texts_of_suite(called, suite, seed)
    if isinstance(text_set, TextSet):
        return text_set.checked(called)
    if text_set in (None, ENGLISH):
        return english(seed)
    return read_text_set(called, text_set or "")
