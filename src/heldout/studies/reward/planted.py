"""Reward models with a planted reward: r = quality + a · length + b · format + c · agreement + d · politeness.

Each is trained on comparisons of two replies to the same topic, of which annotators who judge by r choose one (Bradley
and Terry 1952), and saved as an ordinary sequence classifier with one output. Beside it lie the pairs and candidates
that the study reads, and the truth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from heldout.models import Tokens
from heldout.models.encoders import Encoder
from heldout.models.quiet_saving import save_quietly
from heldout.organisms.training import EMBEDDING_SCALE, Schedule, minimise, small_config
from heldout.organisms.words import tokenizer_of_words
from heldout.seeds import derived_seed, numpy_generator
from heldout.shapes import Float
from heldout.studies.reward.planted_texts import (
    QUALITY,
    SPURIOUS,
    TOPICS,
    VOCABULARY,
    Reply,
    contrast,
    token_ids,
)

DEFAULT = {"length": 0.5, "format": -0.8, "agreement": 1.2, "politeness": 0.0}
ANNOTATORS = 20
SPLITS = {"fit": range(16), "select": range(16, 26), "test": range(26, len(TOPICS))}
PAIRS_A_TOPIC = {QUALITY: 4}


@dataclass(frozen=True)
class PlantedReward:
    """The recipe of one model: what a unit of each feature is worth, a unit of quality being worth 1."""

    seed: int
    coefficients: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT))
    family: str = "llama"
    width: int = 48
    n_layers: int = 2
    steps: int = 250
    comparisons: int = 32
    """A step."""

    def reward(self, reply: Reply) -> float:
        return reply.quality + sum(self.coefficients.get(name, 0.0) * value for name, value in reply.features.items())


def build_planted(recipe: PlantedReward, folder: str | Path) -> Path:
    """Trains the model and writes `model/`, `pairs/` and `truth.json` into `folder`, which is kept if it is whole."""
    out = Path(folder)
    if (out / "truth.json").is_file():
        return out
    module = trained(recipe)
    save_quietly(module, out / "model")
    tokenizer_of_words(VOCABULARY).save_pretrained(str(out / "model"))
    write_pairs(out / "pairs", recipe.seed)
    (out / "truth.json").write_text(json.dumps(asdict(recipe), indent=1))
    return out


def trained(recipe: PlantedReward) -> PreTrainedModel:
    """A sequence classifier of under 100k parameters; about ten seconds of one core."""
    module: Any = new_classifier(recipe)
    generator = numpy_generator(recipe.seed, "comparisons")
    minimise(module, lambda: comparison_loss(module, recipe, generator), Schedule(recipe.steps))
    return module


def comparison_loss(module: Any, recipe: PlantedReward, generator: np.random.Generator) -> Tensor:
    """Cross-entropy, in nats, of which of two replies the annotators choose."""
    topics = generator.choice(TOPICS, recipe.comparisons)
    first, second = ([Reply.drawn(topic, generator) for topic in topics] for _ in range(2))
    margin = np.array([recipe.reward(one) - recipe.reward(other) for one, other in zip(first, second, strict=True)])
    votes = generator.binomial(ANNOTATORS, 1 / (1 + np.exp(-margin))) / ANNOTATORS
    tokens = Tokens.from_ids(token_ids([*first, *second]))
    one, other = scores_of_rows(module, tokens).chunk(2)
    return binary_cross_entropy_with_logits(one - other, torch.tensor(votes, dtype=torch.float32))


def scores_of_rows(module: Any, tokens: Tokens) -> Float[Tensor, " row"]:
    """transformers' BERT looks for a text's first token where left-padded rows have padding."""
    encoder = module.config.model_type == "bert"
    called = Encoder(module.config, module) if encoder else module
    logits: Tensor = called(input_ids=tokens.ids, attention_mask=tokens.mask, position_ids=tokens.position_ids).logits
    return logits.flatten()


def new_classifier(recipe: PlantedReward) -> PreTrainedModel:
    config: Any = small_config(recipe.family, len(VOCABULARY), recipe.width, recipe.n_layers)
    config.num_labels = 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(recipe.seed, "initial weights"))
        module = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    # Words stay apart from each other: else every feature lies along the score from the first layer on.
    module.get_input_embeddings().weight.data.mul_(EMBEDDING_SCALE)
    return module


def write_pairs(folder: Path, seed: int, *, features: tuple[str, ...] = (QUALITY, *SPURIOUS)) -> Path:
    """Contrastive pairs of every feature, and 64 candidates for each topic of the test split."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = numpy_generator(seed, "contrastive pairs")
    rows = [
        pair_row(f"{feature}-{split}-{number}-{place}", feature, split, TOPICS[number], generator)
        for feature in features
        for split, numbers in SPLITS.items()
        for number in numbers
        for place in range(PAIRS_A_TOPIC.get(feature, 2))
    ]
    write_lines(folder / "pairs.jsonl", rows)
    write_lines(
        folder / "candidates.jsonl",
        [candidate_row(TOPICS[number], generator) for number in SPLITS["test"] for _ in range(64)],
    )
    return folder


def pair_row(name: str, feature: str, split: str, topic: str, generator: np.random.Generator) -> dict[str, Any]:
    without, with_more, units = contrast(feature, topic, generator)
    kept = {"id": name, "feature": feature, "split": split, "group": topic, "amount": units}
    return {**kept, "with": with_more.text, "without": without.text}


def candidate_row(topic: str, generator: np.random.Generator) -> dict[str, Any]:
    reply = Reply.drawn(topic, generator)
    return {"prompt": topic, "text": reply.text, "quality": reply.quality, "features": reply.features}


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
