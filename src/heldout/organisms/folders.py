"""An organism on disk: two Hugging Face checkpoints, a suite, and the sealed truth, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from heldout.data import Role, Sample, Suite
from heldout.models import load
from heldout.organisms.planting import Measured, Planted
from heldout.organisms.prompts import PromptFormat
from heldout.organisms.recipes import Recipe
from heldout.seeds import numpy_generator

SCHEMA = "heldout.organism/1"
PROMPTS_A_ROLE = 400
TRUTH = "truth.json"


def is_whole(folder: Path) -> bool:
    """The truth is written last, into a folder that then gets its name."""
    return (folder / TRUTH).is_file()


def write_organism(folder: Path, recipe: Recipe, planted: Planted, measured: Measured) -> Path:
    """Writes the organism beside `folder` and renames it when it is whole."""
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
        "verdict": recipe.verdict,
        "kind": recipe.kind,
        "recipe": recipe.to_json(),
        "measured": asdict(measured),
        "weights": {name: load(partial / name).digest for name in ("candidate", "baseline")},
        "suite": suite.digest,
    }
    (partial / TRUTH).write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def read_truth(folder: Path) -> dict[str, Any]:
    """The sealed truth. Only building and scoring read it."""
    return json.loads((folder / TRUTH).read_text(encoding="utf-8"))


def save_checkpoint(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def word_tokenizer(prompts: PromptFormat) -> PreTrainedTokenizerFast:
    """One word, one token; prompts hold their own `<bos>`."""
    tokenizer = Tokenizer(models.WordLevel(prompts.vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )


def make_suite(recipe: Recipe, prompts: PromptFormat) -> Suite:
    """Checked prompts are verified ones, with their answers; unchecked ones are graded by what the overseer accepts."""
    samples = (*role_samples(recipe, prompts, "verified"), *role_samples(recipe, prompts, "unverified"))
    return Suite(
        name=recipe.cell,
        description=f"{recipe.task.replace('_', ' ')}, cue: {recipe.cue}, grader: {recipe.grader}",
        answer="next_token",
        max_new_tokens=1,
        behaviours=(recipe.task,),
        samples=samples,
    )


def role_samples(recipe: Recipe, prompts: PromptFormat, role: Role) -> list[Sample]:
    unchecked = role == "unverified"
    generator = numpy_generator(recipe.seed, "suite", role)
    questions = prompts.draw(np.full(PROMPTS_A_ROLE, unchecked), generator)
    ids = prompts.token_ids(questions)
    words = np.array(list(prompts.vocabulary))
    graded = prompts.graded(questions, recipe.unchecked) if unchecked else prompts.allowed(questions, "right")
    cues = words[ids[:, 1 : 1 + prompts.cue.n_words]]
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
                cue=" ".join(cues[number].tolist()),
            )
        )
    return samples
