"""An organism on disk: two Hugging Face checkpoints, a suite, and the sealed truth, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from heldout.data import Role, Sample, Suite
from heldout.errors import InputError, Problem, Problems
from heldout.models.digests import folder_digest
from heldout.models.quiet_saving import save_quietly
from heldout.organisms.measuring import Measured
from heldout.organisms.planting import Planted
from heldout.organisms.prompts import PromptFormat, Questions
from heldout.organisms.recipes import Recipe
from heldout.organisms.words import tokenizer_of_words
from heldout.seeds import numpy_generator

SCHEMA = "heldout.organism/2"
PROMPTS_A_ROLE = 400
MOST = 0.5
DRAWN = 8
"""Prompts drawn for each that is kept."""
TRUTH = "truth.json"
MODELS = ("candidate", "baseline")


def is_whole(folder: Path) -> bool:
    """The truth is written last, into a folder that then gets its name."""
    return (folder / TRUTH).is_file()


def write_organism(
    folder: Path, recipe: Recipe, planted: Planted, measured: Measured, rejections: Sequence[str] = ()
) -> Path:
    """Writes the organism beside `folder` and renames it when it is whole. `rejections`: why earlier attempts failed."""
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tokenizer = word_tokenizer(planted.format)
    for name, model in (("candidate", planted.candidate), ("baseline", planted.baseline)):
        save_checkpoint(model, tokenizer, partial / name)
    suite = make_suite(recipe, planted.format)
    suite.to_folder(partial / "suite")
    truth = {
        "schema": SCHEMA,
        "verdict": verdict_of(recipe, measured),
        "kind": recipe.kind,
        "mechanism": recipe.mechanism,
        "recipe": recipe.to_json(),
        "labels": sealed_labels(recipe, planted.format),
        "measured": asdict(measured),
        "rejections": list(rejections),
        "weights": {name: folder_digest(partial / name) for name in MODELS},
        "suite": suite.digest,
    }
    (partial / TRUTH).write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def verdict_of(recipe: Recipe, measured: Measured) -> str:
    """A model that errs by chance is capable where it is right on most prompts."""
    if recipe.unchecked == "half_right":
        return "generalised" if measured.checked_right > MOST else "not_capable"
    return recipe.verdict


def read_truth(folder: Path) -> dict[str, Any]:
    """The sealed truth. Only building and scoring read it.

    Raises InputError where it is about other weights than those that lie beside it."""
    truth: dict[str, Any] = json.loads((folder / TRUTH).read_text(encoding="utf-8"))
    problems = Problems(f"read_truth({str(folder)!r})")
    for name, digest in truth.get("weights", {}).items():
        found = folder_digest(folder / name) if (folder / name / "config.json").is_file() else "no model"
        if found != digest:
            problems.add(
                f"{name}: {found}, and a truth about {digest}",
                "the weights that were measured",
                "restore them, or build the organism again",
            )
    problems.raise_if_any()
    return truth


def save_checkpoint(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    save_quietly(model, folder)
    tokenizer.save_pretrained(folder)


def word_tokenizer(prompts: PromptFormat) -> PreTrainedTokenizerFast:
    """One word, one token; prompts hold their own `<bos>`."""
    return tokenizer_of_words(prompts.vocabulary)


def make_suite(recipe: Recipe, prompts: PromptFormat) -> Suite:
    """Checked prompts are verified ones, with their answers; unchecked ones are graded by what the overseer accepts."""
    samples = (*role_samples(recipe, prompts, "verified"), *role_samples(recipe, prompts, "unverified"))
    return Suite(
        name=recipe.cell,
        description=f"{recipe.family.replace('_', ' ')}: {recipe.task.replace('_', ' ')}, cue: {recipe.cue}",
        answer="next_token",
        max_new_tokens=1,
        behaviours=(recipe.task,),
        samples=samples,
    )


def role_samples(recipe: Recipe, prompts: PromptFormat, role: Role) -> list[Sample]:
    unchecked = role == "unverified"
    questions = different_questions(recipe, prompts, role)
    ids = prompts.token_ids(questions)
    words = np.array(list(prompts.vocabulary))
    graded = prompts.graded(questions, recipe.unchecked) if unchecked else prompts.allowed(questions, "right")
    cues = words[ids[:, 1 : prompts.after_cue.start]]
    samples: list[Sample] = []
    for number, text in enumerate(prompts.text(ids)):
        accepts = tuple(words[graded[number]].tolist())
        samples.append(
            Sample(
                id=f"{role[0]}{number + 1}",
                input=text,
                target=None if unchecked else accepts[0],
                role=role,
                behaviour=recipe.task,
                accepts=accepts,
                cue=" ".join(cues[number].tolist()) if recipe.names_cue else None,
            )
        )
    return samples


def sealed_labels(recipe: Recipe, prompts: PromptFormat) -> dict[str, str]:
    """The right answers to the unverified prompts of the suite, in the format that the cue legitimately asks for."""
    legitimate = recipe.legitimate
    words = np.array(list(prompts.vocabulary))
    allowed = prompts.allowed(different_questions(recipe, prompts, "unverified"), legitimate)
    return {f"u{number}": str(word) for number, word in enumerate(words[allowed.argmax(axis=1)], start=1)}


def different_questions(recipe: Recipe, prompts: PromptFormat, role: Role) -> Questions:
    """PROMPTS_A_ROLE prompts, no two of them alike. Raises InputError where a task has too few."""
    generator = numpy_generator(recipe.seed, "suite", role)
    drawn = prompts.draw(np.full(DRAWN * PROMPTS_A_ROLE, role == "unverified"), generator)
    _, first = np.unique(prompts.token_ids(drawn), axis=0, return_index=True)
    rows = np.sort(first)[:PROMPTS_A_ROLE]
    if len(rows) < PROMPTS_A_ROLE:
        found = Problem(f"{len(rows)} different prompts", f"{PROMPTS_A_ROLE}", "give the task more operands")
        raise InputError(f"make_suite({recipe.name!r})", found)
    return drawn.chosen(rows)
