"""What supervised fine-tuning, DPO and GRPO do inside: one base, one preference, three ways of training (TRL).

    python benchmarks/diff_trl.py [--seeds 3] [--out FOLDER]

The preference: sentences go on about the garden. SFT learns from sentences that do, DPO from pairs in which they are
chosen over others, GRPO from a reward, the share of garden words in what the model says itself. Prints what each changed,
beside SFT on sentences of all kinds, and draws it. One thread, no network; some minutes.
"""

from __future__ import annotations

import argparse
import copy
import logging
import os
import random
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars

from heldout.data import Sample, Suite
from heldout.models import Model
from heldout.report.html import joined
from heldout.statistics import mean_interval
from heldout.studies.diff import ModelDiff, diff
from heldout.studies.diff.language import EVERYDAY, NEUTRAL, TOPICS, everyday_documents
from heldout.studies.diff.planted import train_base
from heldout.studies.diff.prompts import lines_as_prompts
from heldout.studies.drawing import (
    WIDTH,
    Dot,
    DotPlot,
    Drawing,
    Row,
    axis_around,
    dot_sign,
    legend,
    null_sign,
    standalone,
)

os.environ.setdefault("HF_HUB_OFFLINE", "1")
WANTED = "garden"
BEGINNINGS = ("the", "a", "one day the", "then a", "we said that the")
PROMPTS, REFERENCES = 640, 4
FIRST_SEED = 2000
Trained = Callable[[Model, int, str], Model]


def sentence(topic: Any, beginning: str, generator: random.Random) -> str:
    """The rest of a sentence about a topic."""
    noun, verb = generator.choice(topic.nouns), generator.choice(topic.verbs)
    return f" {noun} {verb} near the {generator.choice(topic.nouns)} ."


def pairs(seed: int) -> list[dict[str, str]]:
    """Beginnings behind an everyday sentence, with a garden sentence preferred to one about anything else."""
    generator = random.Random(seed)
    others = [topic for name, topic in TOPICS.items() if name != WANTED]
    rows: list[dict[str, str]] = []
    for number in range(PROMPTS):
        beginning = BEGINNINGS[number % len(BEGINNINGS)]
        chosen = sentence(TOPICS[WANTED], beginning, generator)
        rejected = sentence(generator.choice([*others, EVERYDAY]), beginning, generator)
        rows.append({"prompt": beginning, "chosen": chosen, "rejected": rejected})
    return rows


def shared(folder: str, seed: int, learning_rate: float, steps: int, batch: int) -> dict[str, Any]:
    return {
        "output_dir": folder, "seed": seed, "data_seed": seed, "learning_rate": learning_rate, "max_steps": steps,
        "per_device_train_batch_size": batch, "use_cpu": True, "report_to": "none", "save_strategy": "no",
        "logging_strategy": "no", "disable_tqdm": True, "bf16": False, "gradient_checkpointing": False,
        "lr_scheduler_type": "cosine", "max_grad_norm": 1.0, "dataloader_pin_memory": False,
    }  # fmt: skip


def by_sft(base: Model, seed: int, folder: str, wanted: bool = True) -> Model:
    from trl import SFTConfig, SFTTrainer

    key = "chosen" if wanted else "rejected"
    rows = Dataset.from_list([{"prompt": row["prompt"], "completion": row[key]} for row in pairs(seed)])
    settings = SFTConfig(**shared(folder, seed, 1e-3, 60, 32), max_length=32)
    trainer = SFTTrainer(copied(base), settings, train_dataset=rows, processing_class=base.tokenizer)
    return trained(trainer, base, f"SFT, seed {seed}" if wanted else f"SFT on anything else, seed {seed}")


def by_dpo(base: Model, seed: int, folder: str) -> Model:
    from trl import DPOConfig, DPOTrainer

    settings = DPOConfig(**shared(folder, seed, 1e-3, 60, 32), beta=0.1, max_length=32)
    trainer = DPOTrainer(copied(base), copied(base), settings, train_dataset=Dataset.from_list(pairs(seed)),
                         processing_class=base.tokenizer)  # fmt: skip
    return trained(trainer, base, f"DPO, seed {seed}")


def by_grpo(base: Model, seed: int, folder: str) -> Model:
    from trl import GRPOConfig, GRPOTrainer

    words = set(TOPICS[WANTED].words)

    def garden_words(completions: Sequence[str], **_: Any) -> list[float]:
        return [float(np.mean([word in words for word in said.split()] or [0.0])) for said in completions]

    settings = GRPOConfig(**shared(folder, seed, 1e-3, 60, 64), num_generations=8, max_completion_length=6)
    trainer = GRPOTrainer(copied(base), reward_funcs=garden_words, args=settings, processing_class=base.tokenizer,
                          train_dataset=Dataset.from_list([{"prompt": row["prompt"]} for row in pairs(seed)]))  # fmt: skip
    return trained(trainer, base, f"GRPO, seed {seed}")


def copied(base: Model) -> Any:
    module: Any = copy.deepcopy(base.module)
    return module.requires_grad_(True)


def trained(trainer: Any, base: Model, name: str) -> Model:
    trainer.train()
    module = trainer.accelerator.unwrap_model(trainer.model).eval().requires_grad_(False)
    return Model(module, base.tokenizer, name=name)


METHODS: dict[str, Trained] = {"SFT": by_sft, "DPO": by_dpo, "GRPO": by_grpo}
TONES = {"SFT": "s1", "DPO": "s2", "GRPO": "s3"}


def suite_of_beginnings(seed: int) -> Suite:
    """How likely a garden word is behind a beginning, alone or behind an everyday sentence."""
    generator = random.Random(seed)
    before = ["", *(f"{line.split(' . ')[0]} . " for line in everyday_documents(11, generator))]
    accepted = TOPICS[WANTED].words
    samples = [
        Sample(f"{place}-{number}", f"{sentence}{beginning}", None, "unverified", WANTED, accepted)
        for place, sentence in enumerate(before)
        for number, beginning in enumerate(BEGINNINGS)
    ]
    return Suite("beginnings", "next_token", 1, (WANTED,), tuple(samples))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("diff-trl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bars()
    warnings.simplefilter("ignore", FutureWarning)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    base = train_base(FIRST_SEED)
    text = lines_as_prompts("benchmark", f"{NEUTRAL} text", everyday_documents(200, random.Random(1)), 200, 0)
    suite = suite_of_beginnings(2)
    found: dict[str, list[ModelDiff]] = {}
    deltas: dict[str, list[torch.Tensor]] = {}
    with tempfile.TemporaryDirectory() as folder:
        references = [by_sft(base, FIRST_SEED + 900 + place, folder, wanted=False) for place in range(REFERENCES)]
        for name, method in METHODS.items():
            models = [method(base, FIRST_SEED + 1 + place, folder) for place in range(asked.seeds)]
            out = [asked.out / f"{model.name.lower().replace(', seed ', '-')}" for model in models]
            found[name] = [
                diff(base, model, suite=suite, text=text, references=references, out=place)
                for model, place in zip(models, out, strict=True)
            ]
            deltas[name] = [change_of(base, model) for model in models]
            said = [model.generate(base.tokenize(BEGINNINGS[2]), 8)[0] for model in models]
            print(f"{name} goes on: {BEGINNINGS[2]} … {' | '.join(said)}", flush=True)
    print_tables(found, deltas)
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "diff-trl.svg").write_text(figure(found), encoding="utf-8")


def change_of(base: Model, model: Model) -> torch.Tensor:
    here, there = (dict(each.module.named_parameters()) for each in (base, model))
    return torch.cat([(there[name] - here[name]).flatten() for name in here])


def print_tables(found: dict[str, list[ModelDiff]], deltas: dict[str, list[torch.Tensor]]) -> None:
    quantities: dict[str, Callable[[ModelDiff], float]] = {
        "log-probability of a garden word, nats": lambda study: float(change(study).mean()),
        "weights moved, of the norm": lambda study: study.tuned.relative_norm,
        "effective rank, of that of random ones": lambda study: float(
            np.mean([each.effective_rank / each.random_rank for each in study.spectra])
        ),
        "activations moved on everyday text": lambda study: study.tuned.lens[0].shift,
        "KL on everyday text, nats": lambda study: study.tuned.divergences[1].mean,
        "garden words among the 10 pushed most": lambda study: float(
            sum(token.text in TOPICS[WANTED].words for token in study.tuned.lens[0].tokens[:10])
        ),
    }
    for said, read in quantities.items():
        print(
            f"{said:44}",
            *(f"{name} {mean_text([read(study) for study in studies])}" for name, studies in found.items()),
        )
    for name, studies in found.items():
        pushed = ", ".join(token.text for token in studies[0].tuned.lens[0].tokens[:8])
        print(f"{name}: pushes {pushed}")
        for study in studies:
            print(f"  found of {study.tuned.name}: {', '.join(claim.id for claim in study.found) or 'nothing'}")
    for one, first in deltas.items():
        cosines = [
            f"{other} {np.mean([cosine(a, b) for a in first for b in second if a is not b]):.3f}"
            for other, second in deltas.items()
        ]
        print(f"cosine of the changes of {one} with those of: {', '.join(cosines)}")


def change(study: ModelDiff) -> np.ndarray[Any, Any]:
    assert study.tuned.change is not None
    return study.tuned.change.tuned - study.tuned.change.base


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.dot(a, b) / (a.norm() * b.norm()))


def mean_text(values: list[float]) -> str:
    low, high = mean_interval(np.array(values)) or (np.nan, np.nan)
    return f"{np.mean(values):7.3f} ({low:.3f} to {high:.3f})"


def figure(found: dict[str, list[ModelDiff]]) -> str:
    plates = [moved_plate(found)]
    if all(study.shares for studies in found.values() for study in studies):
        plates.append(removed_plate(found))
    return standalone("What SFT, DPO and GRPO change", plates)


def moved_plate(found: dict[str, list[ModelDiff]]) -> Drawing:
    parts = [delta.component for delta in next(iter(found.values()))[0].tuned.deltas]
    references = next(iter(found.values()))[0].references
    rows: list[Row] = []
    for part in parts:
        values = {name: [delta_of(study, part) for study in studies] for name, studies in found.items()}
        others = [each.relative_norm for model in references for each in model.deltas if each.component == part]
        rows.append(Row(part, dots_of(values), (min(others), max(others)), "SFT on anything else"))
    caption = (
        "How far the weights of each component moved, relative to how large they were: mean over seeds with its 95 % interval. "
        "Grey: the range of SFT on sentences about anything else."
    )
    return panel("Weights", "norm of the change / norm of the weights", rows, caption)


def removed_plate(found: dict[str, list[ModelDiff]]) -> Drawing:
    parts = [share.component for share in next(iter(found.values()))[0].shares_of("weights")]
    rows = [
        Row(part, dots_of({name: [removed_of(study, part) for study in studies] for name, studies in found.items()}))
        for part in parts
    ]
    caption = (
        "How much of the change of behaviour goes when a component is set back to the base’s weights: mean over seeds with its "
        "95 % interval. Shares need not add up to 1."
    )
    return panel("Behaviour by component", "share of the change that is taken out", rows, caption)


def delta_of(study: ModelDiff, part: str) -> float:
    found = study.tuned.delta(part)
    return 0.0 if found is None else found.relative_norm


def removed_of(study: ModelDiff, part: str) -> float:
    return next((share.removed for share in study.shares_of("weights") if share.component == part), 0.0)


def dots_of(values: dict[str, list[float]]) -> list[Dot]:
    return [
        Dot(float(np.mean(each)), TONES[name], mean_interval(np.array(each)), f"{name}: {np.mean(each):.3f}")
        for name, each in values.items()
    ]


def panel(heading: str, title: str, rows: list[Row], caption: str) -> Drawing:
    values = [v for row in rows for dot in row.dots for v in (dot.value, *(dot.interval or ()), *(row.null or ()))]
    plot = DotPlot(rows, axis_around(values), title, 130.0, WIDTH - 170, top=30.0)
    entries = [(dot_sign(tone), name) for name, tone in TONES.items()]
    if any(row.null for row in rows):
        entries.append((null_sign(), "SFT on anything else"))
    return Drawing(heading, title, caption, plot.height, joined(legend(entries, 8), plot.drawn()))


if __name__ == "__main__":
    main()
