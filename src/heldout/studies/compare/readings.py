"""What each model holds of every item, and what an untrained model of the same shape holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from heldout.errors import InputError, Problem
from heldout.execution.threads import one_thread_if_small
from heldout.models import SITE_SHAPES, Model, Site, Tokens
from heldout.models.sites import evenly
from heldout.models.unknown_words import refuse_unknown_words
from heldout.progress import Progress
from heldout.shapes import Float
from heldout.studies.compare.items import Items
from heldout.studies.compare.subjects import Subject
from heldout.techniques.inputs import as_sites
from heldout.techniques.representation_comparison import read_activations

MOST_SIDES = 48
"""Sites of all models together, as far as they are not asked for by layer."""
MOST_LAYERS = 12


@final
@dataclass(frozen=True, eq=False)
class Reading:
    """One model's activations by site, [item, feature]. `twin` is the label of the untrained model of its shape, None for
    an untrained model itself."""

    label: str
    name: str
    digest: str
    n_parameters: int
    n_layers: int
    tokens: Tokens
    activations: Mapping[Site, Float[Tensor, "item feature"]]
    twin: str | None

    @property
    def trained(self) -> bool:
        return self.twin is not None

    def to_json(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "name": self.name,
            "digest": self.digest if self.trained else None,
            "parameters": self.n_parameters,
            "layers": self.n_layers,
            "sites": [str(site) for site in self.activations],
            "untrained_twin": self.twin,
        }


def read_models(
    subjects: Sequence[Subject],
    items: Items,
    sites: Sequence[str] | None,
    position: int | None,
    seed: int,
    progress: Progress,
) -> list[Reading]:
    """One model resident at a time: the models in their order, then an untrained twin for each of their shapes."""
    readings: list[Reading] = []
    twins: dict[Any, Reading] = {}
    layers = max(2, min(MOST_LAYERS, MOST_SIDES // len(subjects)))
    for done, subject in enumerate(subjects):
        progress(f"reading {subject.name}", done, len(subjects))
        with subject.opened() as model, one_thread_if_small(model.n_parameters):
            refuse_unknown_words(f"compare({subject.name!r})", model, items.texts)
            wanted = chosen_sites(model, sites, layers)
            shape = (model.architecture.family, model.dimensions)
            if shape not in twins:
                name = f"untrained, of the shape of {subject.label}"
                twin = model.randomly_initialised(seed)
                twins[shape] = reading(f"{subject.label}₀", name, twin, items, wanted, position, None)
            readings.append(reading(subject.label, subject.name, model, items, wanted, position, twins[shape].label))
    return [*readings, *twins.values()]


def reading(
    label: str, name: str, model: Model, items: Items, sites: Sequence[Site], position: int | None, twin: str | None
) -> Reading:
    tokens = model.tokenize(items.texts)
    activations = read_activations(model, tokens, sites, position)
    digest = model.digest if twin is not None else ""
    return Reading(label, name, digest, model.n_parameters, model.n_layers, tokens, activations, twin)


def asked_places(asked: Sequence[str] | None) -> list[str | Site]:
    """Names of sites as they are, others as sites. Raises InputError naming all that are neither."""
    texts = asked or ("resid_post",)
    deep = iter(as_sites("compare(sites=...)", [text for text in texts if not is_name(text)]))
    return [text if is_name(text) else next(deep) for text in texts]


def is_name(text: str) -> bool:
    """Of sites that layers have."""
    return text in SITE_SHAPES and text != "logits"


def chosen_sites(model: Model, asked: Sequence[str] | None, layers: int) -> tuple[Site, ...]:
    """Each name at so many layers, evenly from the first to the last; a site with its layer as it is."""
    sites: list[Site] = []
    for place in asked_places(asked):
        sites += evenly(model.sites(place), layers) if isinstance(place, str) else [place]
    deep = [site for site in sites if site.layer is not None and site.layer >= model.n_layers]
    if deep:
        found = f"{', '.join(map(str, deep))} of {model.name!r}, which has {model.n_layers} layers"
        raise InputError(
            "compare(sites=...)", Problem(found, "sites that every model has", "name sites without layers")
        )
    return tuple(dict.fromkeys(sites))
