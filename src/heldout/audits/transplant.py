"""Whether the last position of the untouched run holds an answer that the verified mechanism can finish.

The stream of an examined prompt, at one site and at the last position only, is put into the run of a trusted prompt
that asks something else, less the mean difference between the roles there. All that is particular to the examined
prompt then comes from that one vector, and the later layers decode it: a readout with no labels and no training
(interchange intervention, Geiger et al. 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from heldout.audits.examination import Examination
from heldout.audits.prompts import Answers
from heldout.audits.read import Rows
from heldout.models import Set, Site
from heldout.seeds import numpy_generator


@dataclass(frozen=True, eq=False)
class Transplanted:
    """Answers [item] of the trusted runs that received examined prompts' streams, and of the same runs untouched."""

    site: Site
    answers: Answers
    untouched: Answers

    def to_plain(self) -> dict[str, Any]:
        return {"site": str(self.site), "answers": self.answers.tolist(), "untouched": self.untouched.tolist()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Transplanted:
        answers, untouched = (np.array(plain[name], dtype=np.str_) for name in ("answers", "untouched"))
        return cls(Site.parse(plain["site"]), answers, untouched)

    def rate(self, restored: Answers, rows: Rows) -> float:
        """Share of `rows` answered as the removal answers them, where the receiving run by itself does not."""
        return self.successes(restored, rows) / len(rows) if len(rows) else 0.0

    def successes(self, restored: Answers, rows: Rows) -> int:
        return int(np.sum(self._flags(restored, rows)))

    def other_items(self, restored: Answers, rows: Rows, draws: int, seed: int) -> list[float]:
        """The same rate with the streams' items mixed up."""
        generator = numpy_generator(seed, "transplants mixed up", str(self.site))
        return (
            [float(np.mean(self._flags(generator.permutation(restored), rows))) for _ in range(draws)]
            if len(rows)
            else []
        )

    def _flags(self, restored: Answers, rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.asarray((self.answers[rows] == restored[rows]) & (self.untouched[rows] != restored[rows]))


def transplant(examination: Examination, site: Site, rows: Rows) -> Transplanted:
    """Moves the streams of the examined `rows` into trusted prompts of the same splits, in a fixed random order."""
    trusted, examined = examination.data.trusted, examination.prompts
    hosts_there = trusted.rows(*np.unique(examined.split[rows]).tolist())
    generator = numpy_generator(examination.subject.settings.seed, "hosts", len(rows))
    hosts = generator.permutation(np.resize(hosts_there, len(rows)))
    vectors = examination.streams.at(site, rows.tolist()) - examination.differences[site].vector[-1]
    tokens = trusted.tokens[hosts.tolist()]
    answering, model = examination.subject.answering, examination.model
    parts: list[Answers] = []
    done = 0
    for batch in answering.batches(model, tokens):
        received = vectors[done : done + len(batch)].unsqueeze(1)
        with model.intervene(Set(site, received, positions=(-1,))):
            parts.append(answering(model, batch))
        done += len(batch)
    return Transplanted(site, np.concatenate(parts), examination.data.labels[hosts])


def best_transplant_site(examination: Examination, restored: Answers) -> Site:
    """The site, on the select split, from which most restored answers are transplanted; of equals the earliest. The
    last site is left out: what stands there is the output."""
    rows = examination.prompts.rows("select")
    changed = np.flatnonzero(restored != examination.streams.answers[rows])
    rates = [transplant(examination, site, rows).rate(restored, changed) for site in transplantable(examination)]
    return transplantable(examination)[int(np.argmax(np.round(rates, 2)))]


def transplantable(examination: Examination) -> Sequence[Site]:
    return examination.subject.sites[:-1]
