"""The nulls of the readouts: permuted labels, untrained weights, the baseline, and the bare words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from heldout.audits.examination import Examination
from heldout.audits.read import Reading, permuted_labels, read, read_site
from heldout.audits.streams import Streams
from heldout.data import ROLES, Role
from heldout.models import Model, Site
from heldout.techniques import AnswerReadoutFitter
from heldout.techniques.probes import bag_of_tokens

UNTRAINED, BASELINE, PERMUTED, WORDS = "untrained model", "baseline", "permuted labels", "bag of tokens"


@dataclass(frozen=True, eq=False)
class NullReadings:
    """Readings of each null by site, in the form of the candidate's own; the bag of tokens is alike at every site."""

    by_name: Mapping[str, Mapping[Site, Reading]]

    def at(self, site: Site) -> dict[str, Reading]:
        return {name: readings[site] for name, readings in self.by_name.items()}


def read_nulls(examination: Examination) -> NullReadings:
    """The baseline is a null where it has the candidate's shape, so that each site has its counterpart."""
    subject = examination.subject
    sites = subject.sites
    untrained = subject.model.randomly_initialised(subject.settings.seed)
    nulls: dict[str, Mapping[Site, Reading]] = {
        PERMUTED: permuted_readings(examination),
        UNTRAINED: other_model(examination, untrained),
    }
    if subject.baseline is not None and subject.baseline.sites("resid_post") == subject.model.sites("resid_post"):
        nulls[BASELINE] = other_model(examination, subject.baseline)
    words = word_reading(examination)
    nulls[WORDS] = dict.fromkeys(sites, words)
    return NullReadings(nulls)


def permuted_readings(examination: Examination) -> dict[Site, Reading]:
    """The candidate's own stream with readouts fitted on labels that were given to the wrong prompts."""
    data, seed = examination.data, examination.subject.settings.seed
    labels = permuted_labels(data.labels[data.fit_rows], seed, 0)
    trusted, examined = examination.subject.streams[examination.label_role], examination.streams
    return {site: read_site(data, trusted, examined, site, labels) for site in examination.subject.sites}


def other_model(examination: Examination, model: Model) -> dict[Site, Reading]:
    """Another model's stream, with readouts fitted on the same labels."""
    subject = examination.subject
    roles: set[Role] = {examination.label_role, examination.role}
    streams = {role: last_positions(examination, model, role) for role in roles}
    return read(examination.data, streams[examination.label_role], streams[examination.role], subject.sites)


def last_positions(examination: Examination, model: Model, role: Role) -> Streams:
    """A null needs the last position only. Its answers are not used."""
    subject = examination.subject
    prompts, kept = subject.prompts[role], {site: [] for site in subject.sites}
    for batch in subject.answering.batches(model, prompts.tokens, kept_per_token=len(subject.sites) * model.d_model):
        trace = model.trace(batch, subject.sites, positions=(-1,), logits=False)
        for site in subject.sites:
            kept[site].append(trace[site].to("cpu", torch.float32))
    return Streams((-1,), {site: torch.cat(parts) for site, parts in kept.items()}, prompts.targets)


def word_reading(examination: Examination) -> Reading:
    """A readout of how often each word stands in the prompt, whatever its place: what needs no model."""
    data = examination.data
    vocabulary = torch.unique(torch.cat([examination.subject.prompts[role].tokens.ids.flatten() for role in ROLES]))
    bags = {
        side: bag_of_tokens(prompts.tokens.ids, prompts.tokens.mask, vocabulary)
        for side, prompts in (("trusted", data.trusted), ("examined", data.examined))
    }
    readout = AnswerReadoutFitter().fit(bags["trusted"][torch.as_tensor(data.fit_rows)], data.labels[data.fit_rows])
    carried = readout.recentred(bags["examined"][torch.as_tensor(data.examined.rows("fit"))])
    return Reading(Site("resid_pre", 0), readout(bags["trusted"]), carried(bags["examined"]))
