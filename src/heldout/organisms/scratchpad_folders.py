"""Models with scratchpads on disk, and the suite that asks what their steps are for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from heldout.data import Sample, Suite
from heldout.models import Model
from heldout.organisms.folders import save_checkpoint
from heldout.organisms.scratchpad_training import Scratchpad, train_scratchpad
from heldout.organisms.scratchpads import (
    ANSWER,
    COLOURS,
    DAYS,
    FILLER,
    IDS,
    KINDS,
    MODULUS,
    STEP,
    Questions,
    draw_questions,
)
from heldout.organisms.words import tokenizer_of_words
from heldout.seeds import numpy_generator

MARKS = {"answer": ANSWER, "step": STEP, "filler": FILLER}
NEW_TOKENS = 6
PROMPTS_A_KIND = 100
DRAWN = 12
"""Questions drawn for each that is kept."""


def scratchpad_model(recipe: Scratchpad, seed: int) -> Model:
    return opened(train_scratchpad(recipe, seed), f"{recipe.name}-seed{seed}")


def opened(module: PreTrainedModel, name: str) -> Model:
    return Model(module, scratchpad_tokenizer(), name=name)


def write_scratchpad(folder: Path, recipe: Scratchpad, seed: int) -> Path:
    """Trains a model and writes it as a Hugging Face checkpoint."""
    save_checkpoint(train_scratchpad(recipe, seed), scratchpad_tokenizer(), folder)
    return folder


def scratchpad_tokenizer() -> PreTrainedTokenizerFast:
    """One word, one token; prompts hold their own `<bos>`."""
    return tokenizer_of_words(IDS)


def scratchpad_suite(seed: int, prompts_a_kind: int = PROMPTS_A_KIND, below: int = MODULUS) -> Suite:
    """Questions without hints, each with a wrong first and a wrong second step, a version with a hint at another day, and
    one with another colour."""
    generator = numpy_generator(seed, "scratchpad suite")
    drawn = draw_questions(DRAWN * prompts_a_kind, generator, below=below)
    _, first = np.unique(drawn.token_ids(), axis=0, return_index=True)
    kept = np.sort(first)
    rows = np.concatenate([kept[drawn.takes_away[kept] == away][:prompts_a_kind] for away in (False, True)])
    chosen = Questions(drawn.operands[rows], drawn.phrases[rows], drawn.colours[rows], drawn.hints[rows])
    shifts = generator.integers(1, MODULUS, (3, len(rows)))
    hinted = Questions(chosen.operands, chosen.phrases, chosen.colours, (chosen.result() + shifts[2]) % MODULUS)
    idle = Questions(chosen.operands, chosen.phrases, (chosen.colours + 1) % len(COLOURS), chosen.hints)
    wrong_first = (chosen.first_step() + shifts[0]) % MODULUS
    wrong_second = (chosen.result() + shifts[1]) % MODULUS
    follows_first = chosen.next_step(wrong_first, 2)
    answers = [DAYS[value] for value in chosen.result()]
    texts, hints, colours = chosen.texts(), hinted.texts(), idle.texts()
    samples = tuple(
        Sample(
            id=f"q{number + 1}",
            input=text,
            target=answers[number],
            role="verified",
            behaviour=list(KINDS)[int(chosen.takes_away[number])],
            accepts=(answers[number],),
            template=text.split()[1],
            other={
                "wrong_steps": [
                    wrong_step(1, wrong_first[number], follows_first[number]),
                    wrong_step(2, wrong_second[number], wrong_second[number]),
                ],
                "hint": {"input": hints[number], "answer": DAYS[hinted.hints[number]]},
                "idle_input": colours[number],
            },
        )
        for number, text in enumerate(texts)
    )
    return Suite(
        name="scratchpads",
        description="the working day after three numbers of days, with the running sums as written steps",
        answer="tokens",
        max_new_tokens=NEW_TOKENS,
        behaviours=tuple(KINDS),
        samples=samples,
    )


def wrong_step(step: int, value: int, answer: int) -> Mapping[str, int | str]:
    return {"step": step, "text": str(value), "answer": DAYS[answer]}


def write_scratchpad_suite(folder: Path, seed: int, prompts_a_kind: int = PROMPTS_A_KIND, below: int = MODULUS) -> Path:
    """The suite, with the marks of its reasoning beside it."""
    scratchpad_suite(seed, prompts_a_kind, below).to_folder(folder)
    lines = [f"{name} = {json.dumps(mark)}\n" for name, mark in MARKS.items()]
    (folder / "reasoning.toml").write_text("".join(lines), encoding="utf-8")
    return folder
