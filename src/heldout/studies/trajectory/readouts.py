"""What can be read of a checkpoint inside: linear readouts of each concept, fitted anew at every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heldout.errors import InputError, Problem
from heldout.execution.result import Null, Result
from heldout.models import Checkpoint, Model, Site, Tokens
from heldout.models.sites import evenly
from heldout.shapes import Float
from heldout.statistics import paired_gain_p_value, proportion_interval
from heldout.studies.compare.concepts import Concept
from heldout.studies.compare.decoding import Decoded, Parts, labels_of, nulls_of
from heldout.studies.trajectory.asked import Asked
from heldout.studies.trajectory.gauge import as_json
from heldout.techniques import AnswerReadout, AnswerReadoutFitter
from heldout.techniques.probes import bag_of_tokens
from heldout.techniques.representation_comparison import read_activations

MOST_LAYERS = 6
LEVEL = 0.05
READ, CARRIED = "readout_accuracy", "carried_readout_accuracy"
WORDS = Site("resid_pre", 0)
"""Stands for the words of a prompt, which need no model."""

Activations = Mapping[Site, Float[Tensor, "item feature"]]


@final
@dataclass(frozen=True, eq=False)
class Readout:
    """A readout at the site that was chosen, fitted on the concept's first part."""

    site: Site
    fitted: AnswerReadout

    def decoded(self, activations: Activations, concept: Concept, parts: Parts) -> Decoded:
        """Item by item of the test part."""
        predicted = self.fitted(activations[self.site][parts.test])
        return Decoded(self.site, predicted, predicted == labels_of(concept, parts.test))


def layers_read(model: Model) -> tuple[Site, ...]:
    return tuple(evenly(model.sites("resid_post"), MOST_LAYERS))


def finite_activations(model: Model, tokens: Tokens, sites: Sequence[Site]) -> Activations:
    """At the last position. Raises InputError where some are not finite."""
    activations = read_activations(model, tokens, sites, -1)
    broken = [str(site) for site in sites if not bool(torch.isfinite(activations[site]).all())]
    if broken:
        found = f"activations of {model.name!r} that are not finite, at {', '.join(broken)}"
        next_step = "leave this checkpoint out, and look where the training broke"
        raise InputError("finite_activations", Problem(found, "numbers", next_step))
    return activations


def fit_readout(activations: Activations, concept: Concept, parts: Parts) -> Readout:
    """At the earliest site whose readout is right on no significantly fewer prompts of the second part than the best one's
    (McNemar): behind it, a later layer may have replaced what is read."""
    wanted = labels_of(concept, parts.choose)
    fitted = {
        site: AnswerReadoutFitter().fit(values[parts.fit], labels_of(concept, parts.fit))
        for site, values in activations.items()
    }
    right = {site: fitted[site](activations[site][parts.choose]) == wanted for site in fitted}
    best = right[max(right, key=lambda site: int(right[site].sum()))]
    site = next(site for site in right if _no_worse(right[site], best))
    return Readout(site, fitted[site])


def _no_worse(right: NDArray[np.bool_], best: NDArray[np.bool_]) -> bool:
    return paired_gain_p_value(int((best & ~right).sum()), int((right & ~best).sum())) > LEVEL


@final
@dataclass(eq=False)
class Readouts:
    """Accuracy of each concept's readout on prompts that it was not fitted on, against labels of other prompts, an
    untrained model, and the words of the prompt. And, where `last` is given, of the last checkpoint's readout carried here
    as it is: how far what it reads has drifted."""

    asked: Asked
    last: Activations | None = None
    key: str = ""
    name: str = "readouts"
    _references: dict[tuple[str, Any], Readout] = field(default_factory=dict[tuple[str, Any], Readout])
    _untrained: dict[Any, Activations] = field(default_factory=dict[Any, Activations])

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.asked.key, "last": self.key}

    def measure(self, model: Model, checkpoint: Checkpoint, **settings: Any) -> list[dict[str, Any]]:
        activations = finite_activations(model, self.asked.tokens(model), layers_read(model))
        words = self._words(model)
        results: list[Result] = []
        for concept in self.asked.concepts:
            parts = self.asked.parts(concept)
            found = fit_readout(activations, concept, parts).decoded(activations, concept, parts)
            untrained = self._reference(("untrained", concept.name), self._twin(model), concept, parts)
            said = self._reference(("words", concept.name), words, concept, parts)
            labels = labels_of(concept, parts.test)
            nulls = nulls_of(found, untrained, said, labels, self.asked.seed)
            results.append(_result(READ, concept, found, nulls))
            if self.last is not None:
                reference = self._readout(("last", concept.name), self.last, concept, parts)
                results.append(_result(CARRIED, concept, reference.decoded(activations, concept, parts), ()))
        return as_json(results)

    def _words(self, model: Model) -> Activations:
        tokens = self.asked.tokens(model)
        vocabulary = torch.unique(tokens.ids[tokens.mask.bool()])
        return {WORDS: bag_of_tokens(tokens.ids, tokens.mask, vocabulary)}

    def _twin(self, model: Model) -> Activations:
        """An untrained model of the same shape, read once."""
        shape = (model.architecture.family, model.dimensions)
        if shape not in self._untrained:
            twin = model.randomly_initialised(self.asked.seed)
            self._untrained[shape] = finite_activations(twin, self.asked.tokens(twin), layers_read(twin))
        return self._untrained[shape]

    def _reference(self, key: tuple[str, str], values: Activations, concept: Concept, parts: Parts) -> Decoded:
        return self._readout(key, values, concept, parts).decoded(values, concept, parts)

    def _readout(self, key: tuple[str, str], values: Activations, concept: Concept, parts: Parts) -> Readout:
        """Fitted once: it is the same for every checkpoint."""
        if key not in self._references:
            self._references[key] = fit_readout(values, concept, parts)
        return self._references[key]


def _result(quantity: str, concept: Concept, found: Decoded, nulls: tuple[Null, ...]) -> Result:
    hits, n = int(found.right.sum()), len(found.right)
    return Result(
        technique="linear readout",
        quantity=quantity,
        unit="fraction of prompts",
        effect=hits / n,
        n=n,
        interval=proportion_interval(hits, n),
        nulls=nulls,
        site=str(found.site),
        layer=found.site.layer,
        position=-1,
        split="test",
        settings={"concept": concept.name},
    )
