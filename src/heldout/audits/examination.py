"""What the steps of an audit share about one behaviour: models, prompts, and what was read from them once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from heldout.audits.answering import Answering
from heldout.audits.context import context_exchange
from heldout.audits.prompts import Prompts
from heldout.audits.read import ReadoutData
from heldout.audits.removals import Removal, difference_removals, early_exits
from heldout.audits.settings import AuditSettings
from heldout.audits.streams import Streams, affordable_positions, mean_differences, read_streams, stream_sites
from heldout.data import ROLES, Role, Suite, split_samples
from heldout.models import Model, Site
from heldout.techniques import MeanDifference


@dataclass(frozen=True, eq=False)
class Subject:
    """One behaviour of a candidate: its prompts by role, how it answers, and where its stream can be read."""

    behaviour: str
    model: Model
    baseline: Model | None
    prompts: Mapping[Role, Prompts]
    held_out: tuple[str, ...]
    answering: Answering
    baseline_answering: Answering | None
    settings: AuditSettings

    @classmethod
    def of(cls, behaviour: str, model: Model, baseline: Model | None, suite: Suite, settings: AuditSettings) -> Subject:
        splits = split_samples(suite.behaviour(behaviour), settings.seed)
        return cls(
            behaviour=behaviour,
            model=model,
            baseline=baseline,
            prompts={role: Prompts.of(role, splits, model) for role in ROLES},
            held_out=splits.held_out,
            answering=Answering.of(suite, model, settings.memory_bytes),
            baseline_answering=None if baseline is None else Answering.of(suite, baseline, settings.memory_bytes),
            settings=settings,
        )

    @cached_property
    def sites(self) -> list[Site]:
        return stream_sites(self.model)

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """The last positions that are kept: as many as the memory budget allows for both roles."""
        items = sum(map(len, self.prompts.values()))
        length = max(prompts.tokens.length for prompts in self.prompts.values())
        return affordable_positions(self.model, items, length, len(self.sites), self.settings.memory_bytes)

    @cached_property
    def streams(self) -> dict[Role, Streams]:
        return self.streams_of(self.model, self.answering)

    def streams_of(self, model: Model, answering: Answering) -> dict[Role, Streams]:
        """The same reading of another model of the same shape: a null."""
        return {
            role: read_streams(model, prompts, answering, self.sites, self.positions)
            for role, prompts in self.prompts.items()
        }

    def examined(self, role: Role, *, trusted: bool) -> Examination:
        """An examination of `role`. `trusted`: the other role's answers pass the grader, and label readouts."""
        other: Role = "verified" if role == "unverified" else "unverified"
        return Examination(self, role, other if trusted else None)


@dataclass(frozen=True, eq=False)
class Examination:
    """The examined role against the trusted one, whose answers the grader passes.

    Without a trusted role (the grader rejects both) the verified prompts' targets are the labels."""

    subject: Subject
    role: Role
    trusted_role: Role | None

    @property
    def model(self) -> Model:
        return self.subject.model

    @property
    def prompts(self) -> Prompts:
        return self.subject.prompts[self.role]

    @property
    def streams(self) -> Streams:
        return self.subject.streams[self.role]

    @property
    def label_role(self) -> Role:
        return self.trusted_role or "verified"

    @cached_property
    def data(self) -> ReadoutData:
        labelled = self.subject.prompts[self.label_role]
        labels = labelled.targets if self.trusted_role is None else self.subject.streams[self.label_role].answers
        return ReadoutData(labelled, self.prompts, labels)

    @cached_property
    def differences(self) -> dict[Site, MeanDifference]:
        """Mean over the examined minus mean over the other role's fit prompts, at every stream site."""
        other: Role = "verified" if self.role == "unverified" else "unverified"
        first, second = self.prompts.of_split("fit"), self.subject.prompts[other].of_split("fit")
        return mean_differences(self.model, first, second, self.subject.answering, self.subject.sites)

    @cached_property
    def removals(self) -> list[Removal]:
        """Every removal that is screened, the gentlest last."""
        rows = self.prompts.rows("fit").tolist()
        last = self.streams.at(self.subject.sites[-1], rows)
        later = {
            site: float((last - self.streams.at(site, rows)).norm(dim=-1).mean()) for site in self.subject.sites[:-1]
        }
        exits = early_exits(later) if self.subject.answering.one_token else []
        return [*exits, *context_exchange(self), *difference_removals(self.differences)]
