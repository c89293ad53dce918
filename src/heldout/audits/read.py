"""What the stream holds: the answer read out at every site, on trusted and on examined prompts, against nulls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from heldout.audits.prompts import Answers, Prompts
from heldout.audits.streams import Streams
from heldout.models import Site
from heldout.seeds import numpy_generator
from heldout.statistics import above_chance
from heldout.techniques import AnswerReadout, AnswerReadoutFitter

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reading:
    """The readout at one site: what it decodes on trusted and on examined prompts, those of all splits."""

    site: Site
    trusted: Answers
    examined: Answers

    def accuracy(self, labels: Answers, rows: Rows) -> float:
        """Share of trusted prompts decoded as their label."""
        return agreement(self.trusted[rows], labels[rows])

    def agreement(self, answers: Answers, rows: Rows) -> float:
        """Share of examined prompts decoded as the given answers."""
        return agreement(self.examined[rows], answers[rows])


@dataclass(frozen=True, eq=False)
class ReadoutData:
    """What every readout of a behaviour is fitted and tried on: the trusted prompts' answers are its labels."""

    trusted: Prompts
    examined: Prompts
    labels: Answers

    @property
    def fit_rows(self) -> Rows:
        return self.trusted.rows("fit")

    def majority_rate(self, rows: Rows) -> float:
        """What always naming the commonest answer would score."""
        _, counts = np.unique(self.labels[rows], return_counts=True)
        return float(counts.max() / counts.sum())


def read(data: ReadoutData, trusted: Streams, examined: Streams, sites: Sequence[Site]) -> dict[Site, Reading]:
    """Fits a readout at each site on the trusted fit split, and carries it to the examined prompts."""
    return {site: read_site(data, trusted, examined, site, data.labels[data.fit_rows]) for site in sites}


def read_site(
    data: ReadoutData, trusted: Streams, examined: Streams, site: Site, labels: Answers, position: int = -1
) -> Reading:
    """One site with the given labels of the fit rows; permuted labels make the null.

    On the examined prompts the readout is centred on their own mean, which removes what all of them share (a cue)
    without looking at any answer."""
    readout = AnswerReadoutFitter().fit(trusted.at(site, data.fit_rows.tolist(), position), labels)
    carried = recentred(readout, examined, site, data.examined.rows("fit"), position)
    return Reading(site, readout(trusted.at(site, position=position)), carried(examined.at(site, position=position)))


def recentred(readout: AnswerReadout, streams: Streams, site: Site, rows: Rows, position: int) -> AnswerReadout:
    return readout.recentred(streams.at(site, rows.tolist(), position))


def permuted_labels(labels: Answers, seed: int, index: int) -> Answers:
    return numpy_generator(seed, "permuted labels", index).permutation(labels)


def agreement(one: Answers, other: Answers) -> float:
    return float(np.mean(one == other)) if len(one) else 0.0


@dataclass(frozen=True)
class Tracking:
    """How the readout at one site fares on examined prompts against trusted ones, both with chance at 0."""

    site: str
    accuracy: float
    agreement: float

    @property
    def gap(self) -> float:
        """The share of the readout's accuracy that is lost on examined prompts."""
        return 1.0 - self.agreement / self.accuracy if self.accuracy > 0 else 0.0


def tracking(
    readings: Mapping[Site, Reading],
    data: ReadoutData,
    answers: Answers,
    *,
    informative: float,
    rows: tuple[Rows, Rows],
) -> list[Tracking]:
    """The sites before the last at which the answer can be read on trusted prompts (accuracy above `informative`,
    chance at 0).

    `rows` are the trusted and the examined rows to count. The last site is left out: a readout there agrees with the
    output by construction."""
    trusted_rows, examined_rows = rows
    chance = data.majority_rate(trusted_rows)
    found: list[Tracking] = []
    for site in list(readings)[:-1]:
        accuracy = above_chance(readings[site].accuracy(data.labels, trusted_rows), chance)
        if accuracy > informative:
            agreed = above_chance(readings[site].agreement(answers, examined_rows), chance)
            found.append(Tracking(str(site), accuracy, max(0.0, agreed)))
    return found


def renaming(decoded: Answers, answers: Answers) -> dict[str, str]:
    """The one-to-one renaming of decoded answers that explains most outputs (Hungarian assignment on their counts)."""
    ours, our_codes = np.unique(decoded, return_inverse=True)
    theirs, their_codes = np.unique(answers, return_inverse=True)
    counts = np.zeros((len(ours), len(theirs)))
    np.add.at(counts, (our_codes, their_codes), 1)
    rows, columns = linear_sum_assignment(-counts)
    return {str(ours[row]): str(theirs[column]) for row, column in zip(rows, columns, strict=True)}


def renamed(decoded: Answers, names: Mapping[str, str]) -> Answers:
    return np.array([names.get(str(answer), "") for answer in decoded], dtype=np.str_)
