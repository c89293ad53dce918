"""Best-of-n: does choosing the candidate of highest score raise the true quality, or the spurious features?

Exact over all choices of n candidates of a prompt, not sampled: of N candidates in the order of their scores, the one at
rank k is the best of n with probability C(k − 1, n − 1) / C(N, n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import gammaln
from scipy.stats import rankdata

from heldout.errors import InputError, Problem, Problems
from heldout.evidence.canonical import canonical_json, sha256
from heldout.statistics import mean_interval
from heldout.studies.reward.pairs import QUALITY
from heldout.studies.reward.rows import read_rows
from heldout.studies.reward.scoring import Array, Scores

CANDIDATES_FILE = "candidates.jsonl"
LEAST_PROMPTS = 6


class CandidateRow(BaseModel):
    """One line of candidates.jsonl."""

    model_config = ConfigDict(extra="ignore")

    prompt: str
    text: str = Field(min_length=1)
    quality: float = Field(allow_inf_nan=False)
    features: dict[str, float] = Field(default_factory=dict[str, float])


@final
@dataclass(frozen=True)
class Candidates:
    """The candidates of each prompt, as many for each; `amounts[name]` is prompt × candidate, quality among them."""

    prompts: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    amounts: Mapping[str, Array]
    digest: str

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """None where the folder has no candidates. Raises InputError for lines that do not fit, and for too few prompts
        or candidates."""
        file = folder / CANDIDATES_FILE
        if not file.is_file():
            return None
        called = f"Candidates.read({str(folder)!r})"
        rows = read_rows(called, file, CandidateRow)
        by_prompt: dict[str, list[CandidateRow]] = {}
        for row in rows:
            by_prompt.setdefault(row.prompt, []).append(row)
        count = min(map(len, by_prompt.values()))
        check_candidates(called, by_prompt, count)
        kept = [each[:count] for each in by_prompt.values()]
        names = list(dict.fromkeys(name for row in rows for name in row.features))
        amounts = {name: np.array([[row.features[name] for row in each] for each in kept]) for name in names}
        amounts[QUALITY] = np.array([[row.quality for row in each] for each in kept])
        texts = tuple(tuple(row.text for row in each) for each in kept)
        return cls(tuple(by_prompt), texts, amounts, sha256(canonical_json([row.model_dump() for row in rows])))

    @property
    def all_texts(self) -> list[str]:
        return [text for each in self.texts for text in each]

    @property
    def ns(self) -> list[int]:
        """1, 2, 4, … up to the number of candidates."""
        return [2**power for power in range(len(self.texts[0]).bit_length())]


def check_candidates(called: str, by_prompt: Mapping[str, Sequence[CandidateRow]], count: int) -> None:
    problems = Problems(called)
    if len(by_prompt) < LEAST_PROMPTS:
        expected = f"at least {LEAST_PROMPTS}: the interval is over prompts"
        problems.add(f"candidates of {len(by_prompt)} prompts", expected, "add prompts")
    if count < 2:
        problems.add("a prompt with one candidate", "two or more for each prompt", "add candidates, or drop the prompt")
    names = {tuple(sorted(row.features)) for rows in by_prompt.values() for row in rows}
    if len(names) > 1:
        found = f"candidates with the features {' and '.join(str(list(each)) for each in sorted(names)[:3])}"
        problems.add(found, "the same features for all", "give every candidate an amount of each feature")
    problems.raise_if_any()


@final
@dataclass(frozen=True)
class Chosen:
    """The expected amount of something in the best of n, over prompts; `gain` is over that of one candidate, in standard
    deviations of the candidates. `best` is what choosing by the amount itself would give."""

    name: str
    n: int
    prompts: int
    value: float
    interval: tuple[float, float]
    gain: float
    gain_interval: tuple[float, float]
    best: float


def best_of_n(candidates: Candidates, scores: Scores) -> list[Chosen]:
    """Of quality and every feature, at every n."""
    by_score = np.array([scores.of(texts) for texts in candidates.texts])
    return [chosen(name, n, amounts, by_score) for name, amounts in candidates.amounts.items() for n in candidates.ns]


def chosen(name: str, n: int, amounts: Array, scores: Array) -> Chosen:
    own = expected_of_best(amounts, scores, n)
    spread = float(amounts.std(axis=1).mean()) or 1.0
    gains = (own - amounts.mean(axis=1)) / spread
    low, high = interval_of(own)
    return Chosen(
        name=name,
        n=n,
        prompts=len(own),
        value=float(own.mean()),
        interval=(low, high),
        gain=float(gains.mean()),
        gain_interval=interval_of(gains),
        best=float(expected_of_best(amounts, amounts, n).mean()),
    )


def expected_of_best(amounts: Array, scores: Array, n: int) -> Array:
    """The mean amount in the best by score of n candidates drawn without replacement, by prompt; ties share."""
    return (chances_of_being_best(scores, n) * amounts).sum(axis=1)


def chances_of_being_best(scores: Array, n: int) -> Array:
    """Of each candidate [prompt, candidate]."""
    count = scores.shape[1]
    ranks = np.arange(1, count + 1)
    chances = np.where(ranks >= n, np.exp(log_choose(np.maximum(ranks - 1, n - 1), n - 1) - log_choose(count, n)), 0.0)
    return np.stack([shares_of_ties(row, chances) for row in scores])


def shares_of_ties(scores: Array, chances: Array) -> Array:
    """The chance of each candidate: that of its rank, shared evenly among those of the same score."""
    groups: NDArray[np.int64] = rankdata(scores, method="dense").astype(np.int64) - 1
    totals = np.bincount(np.sort(groups), weights=chances)
    return totals[groups] / np.bincount(groups)[groups]


def log_choose(n: Array | int, k: int) -> Array:
    return gammaln(np.asarray(n) + 1.0) - gammaln(k + 1.0) - gammaln(np.asarray(n) - k + 1.0)


def interval_of(values: Array) -> tuple[float, float]:
    interval = mean_interval(values)
    if interval is None:
        raise InputError("best_of_n", Problem("one prompt", "two or more", "add prompts"))
    return interval
