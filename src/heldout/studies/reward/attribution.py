"""Score differences of pairs, attributed to components, to tokens, and to named features. Each sums to the difference
with what is left over, whose share is the completeness error.

Components: direct contributions to the score, each run's final norm held fixed (Elhage et al. 2021), which sum exactly.
Tokens: Shapley values of the edits that make one text the other, which sum exactly too. Features: how many units of each
feature the two streams differ by, as readers from other pairs say, times what a unit is worth on those pairs; this sum
is an approximation, and what it leaves over is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from torch import Tensor

from heldout.models import Model
from heldout.models.scores import score_metric, text_tokens
from heldout.seeds import numpy_generator
from heldout.studies.reward.directions import FeatureDirections
from heldout.studies.reward.pairs import Pair, PairSet
from heldout.studies.reward.scoring import Array, Scores, stream_differences
from heldout.studies.reward.slopes import mean_slope
from heldout.studies.reward.token_edits import Edit, EditedText, shapley_values
from heldout.techniques.path_decomposition import direct_logits

PAIRS = 12
"""Pairs of a feature that are attributed, each of another group while there are groups."""


@final
@dataclass(frozen=True)
class Attribution:
    """`parts[name]` is what a part gives to the score difference of each pair; `kind` is component, token or feature."""

    feature: str
    kind: str
    difference: Array
    parts: Mapping[str, Array]

    @property
    def left_over(self) -> Array:
        return self.difference - sum(self.parts.values(), np.zeros_like(self.difference))

    @property
    def completeness_error(self) -> float:
        """Σ |left over| / Σ |difference| over pairs."""
        total = float(np.abs(self.difference).sum())
        return float(np.abs(self.left_over).sum()) / total if total else 0.0

    @property
    def means(self) -> dict[str, float]:
        """By part, the largest first."""
        means = {name: float(values.mean()) for name, values in self.parts.items()}
        return dict(sorted(means.items(), key=lambda item: -abs(item[1])))


def attributed_pairs(pairs: PairSet, feature: str) -> list[Pair]:
    """The first test pair of each group, then the second ones, at most PAIRS."""
    seen: dict[str, int] = defaultdict(int)
    ranked: list[tuple[int, int, Pair]] = []
    for place, pair in enumerate(pairs.of(feature, "test")):
        ranked.append((seen[pair.group], place, pair))
        seen[pair.group] += 1
    return [pair for _, _, pair in sorted(ranked)[:PAIRS]]


def to_components(model: Model, feature: str, pairs: Sequence[Pair], scores: Scores) -> Attribution:
    """Of attention heads, MLPs, biases and embeddings."""
    found = direct_logits(model, text_tokens(model, both_texts(pairs)), score_metric())
    parts = found.parts.double().cpu().numpy()
    by_name = {str(name): row[0::2] - row[1::2] for name, row in zip(found.components, parts, strict=True)}
    return Attribution(feature, "component", scores.differences(pairs), by_name)


def to_tokens(model: Model, feature: str, pairs: Sequence[Pair], scores: Scores, seed: int) -> Attribution:
    """Of each edit that makes the one text the other, summed over edits that read the same."""
    ids = [row[mask.bool()].tolist() for row, mask in tokens_with_masks(model, both_texts(pairs))]
    texts = [EditedText.between(less, more) for more, less in zip(ids[0::2], ids[1::2], strict=True)]
    gains = shapley_values(model, texts, numpy_generator(seed, "orders of edits", feature))
    parts: dict[str, Array] = defaultdict(lambda: np.zeros(len(pairs)))
    for place, (text, values) in enumerate(zip(texts, gains, strict=True)):
        for group, value in zip(text.groups, values, strict=True):
            parts[words_of(model, text, group)][place] += value
    return Attribution(feature, "token", scores.differences(pairs), dict(parts))


def tokens_with_masks(model: Model, texts: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
    tokens = text_tokens(model, texts)
    return zip(tokens.ids, tokens.mask, strict=True)


def words_of(model: Model, text: EditedText, group: Sequence[Edit]) -> str:
    """`+ word`, `− word` or `word → word`; several are joined."""

    def said(edit: Edit) -> str:
        old, new = (
            " ".join(model.tokenizer.convert_ids_to_tokens(list(ids)))
            for ids in (text.ids[edit.start : edit.end], edit.new)
        )
        return f"{old} → {new}" if old and new else f"+ {new}" if new else f"− {old}"

    return ", ".join(map(said, group))


def to_features(
    model: Model, feature: str, pairs: Sequence[Pair], scores: Scores, readers: FeatureDirections, worth: Array
) -> Attribution:
    """Of each named feature: the units of it by which the texts differ inside, times its `worth`."""
    amounts = np.array([pair.amount for pair in pairs])
    units = readers.units(stream_differences(model, pairs, readers.place)).double().numpy() * amounts[:, None]
    parts = {name: units[:, place] * worth[place] for place, name in enumerate(readers.features)}
    return Attribution(feature, "feature", scores.differences(pairs), parts)


def worth_of_units(pairs: PairSet, scores: Scores, features: Sequence[str]) -> Array:
    """The slope of each feature on the fit pairs."""
    return np.array([mean_slope(pairs.of(feature, "fit"), scores) for feature in features])


def both_texts(pairs: Sequence[Pair]) -> list[str]:
    return [text for pair in pairs for text in (pair.more, pair.less)]
