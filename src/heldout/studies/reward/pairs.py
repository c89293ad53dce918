"""Contrastive pairs: two texts that differ in one feature, and which of three splits each pair belongs to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from heldout.errors import Problems
from heldout.evidence.canonical import canonical_json, sha256
from heldout.seeds import numpy_generator
from heldout.studies.reward.rows import read_rows

PAIRS_FILE = "pairs.jsonl"
QUALITY = "quality"
Split = Literal["fit", "select", "test"]
SPLITS: tuple[Split, ...] = ("fit", "select", "test")
SHARES = (0.35, 0.2, 0.45)
LEAST_GROUPS: dict[Split, int] = {"fit": 4, "select": 4, "test": 7}
ALPHA = 0.05
"""Of a finding, over all features of one question together."""


class PairRow(BaseModel):
    """One line of pairs.jsonl. A quality pair may say `chosen` and `rejected` for `with` and `without`."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    id: str
    feature: str = Field(min_length=1)
    more: str = Field(validation_alias=AliasChoices("with", "chosen"), min_length=1)
    less: str = Field(validation_alias=AliasChoices("without", "rejected"), min_length=1)
    amount: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    group: str | None = None
    split: Split | None = None


@final
@dataclass(frozen=True)
class Pair:
    """`more` has `amount` units more of the feature than `less`. Pairs of one `group` (a template, a prompt) are not
    independent of each other, and belong to one split."""

    id: str
    feature: str
    more: str
    less: str
    amount: float
    group: str
    split: Split


@final
@dataclass(frozen=True)
class PairSet:
    """The pairs of a file, in its order."""

    pairs: tuple[Pair, ...]
    digest: str

    @classmethod
    def read(cls, path: str | Path, *, seed: int = 0) -> Self:
        """Of a folder with pairs.jsonl, or of the file itself. Where no pair says its split, groups are dealt out by
        `seed`.

        Raises InputError naming every line that cannot be used, groups in two splits, and features or quality with too
        few groups for an interval."""
        file = Path(path) / PAIRS_FILE if Path(path).is_dir() else Path(path)
        called = f"PairSet.read({str(path)!r})"
        rows = read_rows(called, file, PairRow)
        problems = Problems(called)
        pairs = tuple(placed(rows, seed, problems))
        problems.raise_if_any()
        check_pairs(called, pairs)
        return cls(pairs, sha256(canonical_json([vars(pair) for pair in pairs])))

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Without quality, in the order in which they first occur."""
        return tuple(name for name in dict.fromkeys(pair.feature for pair in self.pairs) if name != QUALITY)

    @property
    def texts(self) -> list[str]:
        """Every text once."""
        return list(dict.fromkeys(text for pair in self.pairs for text in (pair.more, pair.less)))

    def of(self, feature: str, split: Split) -> list[Pair]:
        return [pair for pair in self.pairs if pair.feature == feature and pair.split == split]


def group_names(pairs: Sequence[Pair]) -> list[str]:
    """In the order in which they first occur."""
    return list(dict.fromkeys(pair.group for pair in pairs))


def group_means(pairs: Sequence[Pair], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean value of each group, in the order of `group_names`."""
    names = {name: place for place, name in enumerate(group_names(pairs))}
    places = np.array([names[pair.group] for pair in pairs])
    return np.bincount(places, weights=values) / np.bincount(places)


def placed(rows: Sequence[PairRow], seed: int, problems: Problems) -> Iterator[Pair]:
    """The rows as pairs, each in its split; what is wrong with the splits is added to `problems`."""
    groups = list(dict.fromkeys(row.group or row.id for row in rows))
    said = {(row.group or row.id): row.split for row in rows}
    unsaid = [row.id for row in rows if row.split is None]
    if unsaid and len(unsaid) < len(rows):
        problems.add(
            f"pairs without a split: {', '.join(unsaid[:8])}", "a split for all or none", "complete the splits"
        )
        return
    torn = sorted({row.group for row in rows if row.group and row.split != said[row.group]})
    if torn:
        expected = "each group in one split: what was fitted on must not be tested on"
        problems.add(f"groups in two splits: {', '.join(torn[:8])}", expected, "move each group into one split")
    dealt = dealt_out(groups, seed) if unsaid else {}
    for row in rows:
        group = row.group or row.id
        split = row.split or dealt[group]
        yield Pair(row.id, row.feature, row.more, row.less, row.amount, group, split)


def dealt_out(groups: Sequence[str], seed: int) -> dict[str, Split]:
    """Groups shared out at random by SHARES."""
    order = numpy_generator(seed, "splits of pairs").permutation(len(groups))
    edges = np.cumsum(SHARES)[:-1] * len(groups)
    return {groups[int(group)]: SPLITS[int((place >= edges).sum())] for place, group in enumerate(order)}


def check_pairs(called: str, pairs: Sequence[Pair]) -> None:
    """Raises InputError where quality is missing, or a feature has too few groups in a split for its interval."""
    problems = Problems(called)
    features = list(dict.fromkeys(pair.feature for pair in pairs))
    if QUALITY not in features:
        expected = f"pairs of the feature {QUALITY!r}: one text better than the other"
        problems.add(f"the features {', '.join(features)}", expected, "add them: slopes are told in units of quality")
    if not set(features) - {QUALITY}:
        problems.add("no feature but quality", "pairs of a feature that may be spurious", "add pairs of length, say")
    for feature in features:
        for split in SPLITS:
            least = least_groups(split, len(features) - 1)
            count = len({pair.group for pair in pairs if pair.feature == feature and pair.split == split})
            if count < least:
                problems.add(
                    f"{count} groups of {feature} in the split {split}",
                    f"at least {least}: fewer give no 95 % interval, or no permutation test that can find anything",
                    f"write more pairs of {feature}, of other templates or prompts",
                )
    problems.raise_if_any()


def least_groups(split: Split, n_features: int) -> int:
    """So many that, of test groups, the rarest of all orientations is rarer than ALPHA for each of the features, and of
    changes for quality as well."""
    needed = math.ceil(1 + math.log2((n_features + 1) / ALPHA)) if split == "test" else 0
    return max(LEAST_GROUPS[split], needed)
